"""What the store keeps of a run: figures, tables, environment, and weights where they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zslbench.data.provenance import array_sha256
from zslbench.experiment.execution.environment import describe
from zslbench.experiment.fitting import embedding_inputs
from zslbench.store.record import RunContent, RunInfo
from zslbench.training.flat import flatten

if TYPE_CHECKING:
    import pandas as pd

    from zslbench.experiment.execution.local import Job
    from zslbench.experiment.pipeline import Outcome


def content_of(
    job: Job,
    info: RunInfo,
    outcome: Outcome,
    notes: list[str],
    more: Mapping[str, Any],
    stages: list[dict[str, Any]],
) -> RunContent:
    """Everything that the store keeps of a run that has ended."""
    import pandas as pd

    evaluation = outcome.evaluation
    environment = (
        describe(job.mode, job.recipe)
        | dict(more)
        | {
            "preset": job.recipe.preset,
            "chosen": dict(outcome.settings),
            "group": job.recipe.group,
            "stages": stages,
            "weights": "all" if job.keep_weights else "embedding" if _looks(job) else None,
        }
    )
    tensors = {
        f"{prefix}{kind}/{path}": tensor.detach().cpu()
        for prefix, networks in (("", outcome.networks), ("validation/", outcome.validation_networks))
        for kind, nets in networks.items()
        for path, tensor in flatten(nets).items()
    }
    return RunContent(
        info=info,
        metrics=outcome.metrics,
        environment=environment,
        data=job.data,
        notes=notes,
        tables={
            "epochs": pd.DataFrame(list(outcome.epochs)),
            "candidates": pd.DataFrame(list(outcome.candidates)),
            "classes": evaluation.classes_table(),
            "predictions": evaluation.predictions_table(),
            "curve": evaluation.curve_table(),
            "networks": _networks_table(tensors),
        },
        networks={name: tensor for name, tensor in tensors.items() if _is_kept(job, name)},
    )


def _looks(job: Job) -> bool:
    """Whether the embedding looks at regions: it is then kept with every run, for its maps to be drawn."""
    return embedding_inputs(job.recipe) == "regions"


def _is_kept(job: Job, tensor: str) -> bool:
    if tensor.startswith("validation/"):
        return False
    return job.keep_weights or (_looks(job) and tensor.startswith("embedding/"))


def _networks_table(tensors: Mapping[str, Any]) -> pd.DataFrame:
    """sha256 of every fitted tensor, so that two runs can be compared though weights are not kept."""
    import pandas as pd

    return pd.DataFrame(
        {
            "tensor": list(tensors),
            "shape": ["x".join(map(str, t.shape)) for t in tensors.values()],
            "dtype": [str(t.dtype).removeprefix("torch.") for t in tensors.values()],
            "sha256": [array_sha256(t.contiguous().numpy()) for t in tensors.values()],
        }
    )
