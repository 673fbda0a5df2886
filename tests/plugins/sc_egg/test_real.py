"""SC-EGG on real region features: 747 pictures of eight animals, 49 regions of MobileNetV2 (AWA2mini)."""

from __future__ import annotations

from pathlib import Path

import pytest

import zslbench

QUICK = {
    "embedding.stage1.epochs": 1,
    "embedding.stage1.iterations": 40,
    "embedding.stage2.epochs": 1,
    "embedding.stage2.iterations": 10,
    "generator.hidden": 64,
    "generator.per_class": 60,
    "classifier.epochs": 5,
}


@pytest.mark.slow
@pytest.mark.parametrize("reading", ["paper", "authors"])
def test_it_runs_on_real_regions_and_learns(real_data: Path, tmp_path: Path, reading: str) -> None:
    (record,) = zslbench.run(
        "sc-egg", dataset="awa2mini", features="mobilenet_v2", reading=reading, preset="cpu", settings=QUICK,
        epochs=3, select="last", threads=1, store=tmp_path / "store", data_root=real_data / "xlsa17",
    ).records  # fmt: skip
    files = {one["array"]: one["file"] for one in record.data["arrays"]}
    assert files["regions"].endswith("AWA2mini_mobilenet_v2.hdf5")
    assert record.data["regions"]["shape"] == [747, 49, 1280]
    assert float(record.metrics["s"]) > 0.5  # six seen classes: chance is below 0.17
    assert len(record.table("predictions")) == 114 + 177
