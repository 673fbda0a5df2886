"""SC-EGG as a method on a tiny toy: both readings, its pieces in other compositions, what a run keeps."""

from __future__ import annotations

import pytest

from zslbench.errors import ZslbenchError

BATCHES = {"embedding.stage1.iterations": 3, "embedding.stage2.iterations": 3}
"""Against the reading's own, which are hundreds."""


def hashes(record, *parts):
    """sha256 of every fitted tensor whose name starts with one of these."""
    table = record.table("networks")
    return {
        tensor: sha
        for tensor, sha in zip(table["tensor"], table["sha256"], strict=True)
        if not parts or tensor.startswith(parts)
    }


def nets(record):
    return {"/".join(name.split("/")[:2]) for name in hashes(record)}


@pytest.mark.parametrize("reading", ["paper", "authors"])
def test_both_readings_run(small_run, reading):
    record = small_run(BATCHES, reading=reading)
    assert record.info.reading == reading
    len_gen = {f"embedding/{net}" for net in ("vectors", "attention", "projection", "sc", "cls_g", "range")}
    eggn = {f"generator/{n}" for n in ("encoder", "generator", "critic", "decoder", "feedback", "state")}
    regressor = {"embedding/regressor"} if reading == "authors" else set()
    assert nets(record) == len_gen | regressor | eggn | {"gzsl/softmax", "czsl/softmax"}
    shapes = record.table("networks").set_index("tensor")["shape"]
    # 12 channels, 10 attributes, 10 classes of which 3 are unseen; the classifier sees [g, Dec(g), hidden].
    assert shapes["embedding/sc/first.weight"] == "5x10" and shapes["embedding/sc/second.weight"] == "1x5"
    assert shapes["embedding/cls_g/out.weight"] == "10x12"
    assert shapes["gzsl/softmax/out.weight"] == f"10x{12 + 10 + 16}"
    assert shapes["czsl/softmax/out.weight"] == f"3x{12 + 10 + 16}"  # f_czsl has N outputs
    stages = record.table("epochs")["stage"].unique().tolist()
    assert stages == [
        "final/embedding/stage1", "final/embedding/stage2", "final/generator", "final/gzsl", "final/czsl",
    ]  # fmt: skip
    assert {"generator_seen_guidance", "generator_unseen_guidance", "generator_penalty_weight"} <= set(
        record.table("epochs").columns
    )
    assert 0 <= record.metrics["h"] <= 1


@pytest.mark.parametrize("reading", ["paper", "authors"])
def test_without_egs_a_whole_run_is_tf_vaegans_on_the_same_g(small_run, reading):
    """Section 9: stage 3 = plain TF-VAEGAN on g. The same bits, up to the predictions."""
    parts = {"embedding": "scen", "classifier": "softmax", "method": None, "epochs": 1}
    scen = {"embedding.reading": reading}
    off = {"generator.lambda_s": 0.0, "generator.lambda_u": 0.0, "generator.adaptive_penalty": True}
    off["generator.reconstruction_norm"] = "weighted"
    one = small_run(scen, generator="tf-vaegan", **parts)
    other = small_run(scen | off, generator="eggn", **parts)
    assert one.info.id != other.info.id
    assert hashes(one) == hashes(other)
    assert one.metrics == other.metrics
    assert one.table("predictions").equals(other.table("predictions"))
    guided = small_run(scen | {"generator.adaptive_penalty": True}, generator="eggn", **parts)
    assert hashes(one, "embedding/") == hashes(guided, "embedding/")
    assert hashes(one, "generator/generator/") != hashes(guided, "generator/generator/")


def test_eggn_on_an_embedding_without_class_scores_is_one_line(small_run):
    composition = {"embedding": "pooled", "generator": "eggn", "classifier": "softmax", "method": None}
    with pytest.raises(ZslbenchError, match=r"eggn.*class scores") as caught:
        small_run(**composition)
    assert "\n" not in str(caught.value)


def test_scen_serves_methods_without_a_generator(small_run):
    """Its g is an embedding like any other."""
    record = small_run(embedding="scen", classifier="eszsl", method=None, epochs=None)
    assert 0 <= record.metrics["h"] <= 1
    assert nets(record) >= {"embedding/sc", "gzsl/eszsl"}
