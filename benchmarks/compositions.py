"""Searches compositions on validation images, then runs the winner on the test images, once.

    python -m benchmarks.compositions --data-root FOLDER [--store DIRECTORY] [--workers 2] [--only-search]

compositions.toml has the compositions, their search spaces and the budget. Each study resumes where it
stopped. The winner is the trial with the highest mean H over several validation splits. It runs with seeds
that the search did not use, next to the methods in ``final``, of which finished runs of any version count.
Writes benchmarks/results/compositions.md.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zslbench
from benchmarks.common import RESULTS, processor, write_page
from zslbench.experiment import SuiteOutcome
from zslbench.report import percent, render, suite_table
from zslbench_tune.result import Tuning

FILE = Path(__file__).with_suffix(".toml")
PARTS = ("embedding", "generator", "classifier")


def label(parts: Mapping[str, Any]) -> str:
    """``scen + tf-vaegan + softmax``, or a method's name."""
    return parts.get("method") or " + ".join(parts[kind] for kind in PARTS if kind in parts)


def regions_of(plan: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, str]:
    """The option ``regions``, unless the embedding reads pooled features."""
    return {} if parts.get("embedding") == "identity" else {"regions": plan["regions"]}


def search_all(plan: Mapping[str, Any], **options: Any) -> dict[str, Tuning]:
    """The finished study of each composition."""
    common = {key: plan[key] for key in ("dataset", "features", "trials", "validation_splits", "seeds")}
    return {
        label(one): zslbench.tune(
            **common,
            **one,
            **regions_of(plan, one),
            **options,
        )
        for one in plan["compositions"]
    }


def row(name: str, study: Tuning) -> dict[str, Any]:
    """A study's row: the value of its best trial on every split, and what that trial chose."""
    best = study.best
    done = [one.value for one in study.trials if one.value is not None]
    return {
        "composition": name,
        "H on validation": best.figure,
        "by split": ", ".join(f"{percent(one):.1f}" for one in best.splits),
        "all trials": f"{percent(min(done)):.1f} to {percent(max(done)):.1f}",
        "failed": sum(one.state == "failed" for one in study.trials),
        "chosen": ", ".join(
            f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in best.settings.items()
        ),
        "epochs": best.epochs,
        "minutes": sum(one.seconds or 0 for one in study.trials) / 60,
    }


def final(plan: Mapping[str, Any], winner: Mapping[str, Any], preset: Path, **options: Any) -> SuiteOutcome:
    """The winner and the methods beside it on the test images, with seeds that the search did not use."""
    first = plan["seeds"]
    named = {key: winner[key] for key in ("method", *PARTS, "every") if key in winner}
    rows = [named | {"label": f"{label(winner)}, searched", "preset": str(preset)}, *plan["final"]]
    suite = {
        "name": "compositions",
        "title": plan["title"],
        "datasets": [plan["dataset"]],
        "features": plan["features"],
        "seeds": list(range(first, first + plan["final_seeds"])),
        "methods": [one | regions_of(plan, one) | {"published": False} for one in rows],
    }
    return zslbench.bench(suite, any_version=True, **options)


def page(
    plan: Mapping[str, Any], studies: Mapping[str, Tuning], outcome: SuiteOutcome | None
) -> Sequence[str]:
    """The page's blocks."""
    rows = [row(name, study) for name, study in studies.items()]
    ranked = sorted(rows, key=lambda one: -float(one["H on validation"].partition(" ")[0]))
    trials = sum(len(study.trials) for study in studies.values())
    blocks = [
        "Regenerate with `python -m benchmarks.compositions --data-root FOLDER`. Real data: "
        f"{plan['dataset']}, regions and features of {plan['regions']}.",
        f"{trials} trials, {plan['trials']} of each composition; a trial is trained on "
        f"{plan['validation_splits']} class splits inside the trainval images, seeds {plan['seeds']}. "
        "H on validation: mean ± standard deviation over the splits, of the best trial, hence optimistic. "
        "No trial saw a test image.",
        render(ranked, "markdown"),
    ]
    if outcome is not None:
        blocks += [
            f"## The winner on the test images\n\n{plan['final_seeds']} seeds that the search did not use; "
            "selected on validation; per-class accuracy in %, mean ± standard deviation over seeds.",
            render(suite_table(outcome), "markdown"),
        ]
    return [*blocks, f"Hardware: {processor()}, one thread per process, no GPU."]


def main() -> None:
    """Search, run the winner, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--store", help="default: ZSLBENCH_STORE")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only-search", action="store_true", help="leave the test images alone")
    given = parser.parse_args()
    plan = tomllib.loads(FILE.read_text("utf-8"))
    options = {"data_root": given.data_root, "store": given.store, "device": "cpu", "threads": 1}
    studies = search_all(plan, workers=given.workers, **options)
    outcome = None
    if not given.only_search:
        name = max(studies, key=lambda one: studies[one].best.value or 0.0)
        winner = next(one for one in plan["compositions"] if label(one) == name)
        outcome = final(plan, winner, studies[name].preset, workers=given.workers, **options)
    write_page(RESULTS / "compositions.md", plan["title"], *page(plan, studies, outcome))


if __name__ == "__main__":
    main()
