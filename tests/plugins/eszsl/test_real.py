"""ESZSL on real features: the figures that an independent computation found for them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io

import zslbench

# CZSL Acc, U, S, H in %, by set and coding; computed outside this package, see the data's own description.
FIGURES = {
    ("awa1", "bow_pca512", 0.1): {"pm1": (31.1, 6.3, 35.3, 10.7), "01": (31.5, 10.1, 34.7, 15.6)},
    ("flo", "mobilenet_v2_64px", 0.01): {"pm1": (40.5, 4.4, 58.7, 8.3), "01": (46.0, 5.3, 61.7, 9.8)},
    ("cub2010", "mobilenet_v2", 0.1): {"pm1": (20.9, 8.5, 40.4, 14.0), "01": (47.6, 11.4, 57.5, 19.1)},
    ("awa2mini", "mobilenet_v2", 0.1): {"pm1": (84.9, 33.5, 94.9, 49.5), "01": (52.2, 0.6, 96.6, 1.2)},
}
AUSUC = {"awa1": 9.2, "flo": 20.6, "cub2010": 7.7, "awa2mini": 74.0}


@pytest.fixture(scope="module")
def loaded():
    """Each data set is read once."""
    from zslbench.experiment import datasets

    plain, kept = datasets.load_dataset, {}

    def once(part, *options, **more):
        if part.name not in kept:
            kept.clear()
            kept[part.name] = plain(part, *options, **more)
        return kept[part.name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "load_dataset", once)
        yield


def test_descriptions_of_classes_without_images_change_nothing(real_data, tmp_path):
    """AWA2mini with the attributes of AWA2's other 42 classes."""
    official, small = (real_data / "xlsa17" / name for name in ("AWA2", "AWA2mini"))
    many, few = (scipy.io.loadmat(one / "att_splits.mat") for one in (official, small))
    known = {str(one[0]) for one in few["allclasses_names"][:, 0]}
    others = [at for at, one in enumerate(many["allclasses_names"][:, 0]) if str(one[0]) not in known]
    assert len(others) == 42
    described = {key: value for key, value in few.items() if not key.startswith("_")}
    for key, axis in (("att", 1), ("original_att", 1), ("allclasses_names", 0)):
        more = np.take(many[key], others, axis)
        described[key] = np.concatenate([few[key], more], axis)
    (tmp_path / "AWA2MORE").mkdir()
    scipy.io.savemat(tmp_path / "AWA2MORE" / "att_splits.mat", described)
    (tmp_path / "AWA2MORE" / "mobilenet_v2.mat").symlink_to(small / "mobilenet_v2.mat")

    def figures(**more):
        run = zslbench.run(
            "eszsl", dataset="awa2more", features="mobilenet_v2", select="last", data_root=tmp_path,
            store=tmp_path / "store", device="cpu", threads=1, **more,
        )  # fmt: skip
        return [100 * run.records[0].metrics[name] for name in ("acc", "u", "s", "h")]

    assert figures() == pytest.approx([84.95, 33.52, 94.94, 49.54], abs=0.01)
    assert figures(candidates="all")[0] == pytest.approx(3.85, abs=0.01)


@pytest.mark.parametrize(
    ("dataset", "features", "lam", "coding"), [(*key, coding) for key in FIGURES for coding in ("pm1", "01")]
)
def test_figures_on_real_data(real_data, loaded, tmp_path, dataset, features, lam, coding):
    result = zslbench.run(
        "eszsl",
        dataset=dataset,
        features=features,
        select="last",
        settings={"classifier.gamma": 1.0, "classifier.lam": lam, "classifier.coding": coding},
        data_root=real_data / "xlsa17",
        store=tmp_path,
        device="cpu",
        threads=2,
    )
    metrics = result.records[0].metrics
    found = [100 * metrics[name] for name in ("acc", "u", "s", "h")]
    assert found == pytest.approx(FIGURES[dataset, features, lam][coding], abs=0.1)
    if coding == "pm1":
        assert 100 * metrics["ausuc"] == pytest.approx(AUSUC[dataset], abs=0.1)
