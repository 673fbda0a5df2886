"""Printed numbers: what rounding hides, and whether H can follow from U and S."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given, strategies as st

from zslbench.experiment.published import PublishedRow


def printed(u: str, s: str, h: str, acc: str = "") -> dict[str, str]:
    return {"Acc": acc, "U": u, "S": s, "H": h}


def make(u: str, s: str, h: str, dataset: str = "cub", **more: object) -> PublishedRow:
    given: dict[str, object] = {"method": "M", "group": "generative", "citation": "", "source": "T"}
    return PublishedRow(printed=printed(u, s, h), dataset=dataset, **(given | more))  # type: ignore[arg-type]


def test_a_misprint() -> None:
    found = make("60.4", "75.1", "60.3")
    assert found.disputed
    assert found.h_recomputed == pytest.approx(66.9526, abs=1e-4)
    assert all(text in found.note for text in ("60.3", "66.95", "66.90", "67.00"))
    assert found.figures["H"] == 60.3  # reported, not corrected


def test_what_rounding_explains() -> None:
    """0.4 stands for 0.35 to 0.45: H is 0.697 to 0.895, and 0.9 for 0.85 to 0.95. They meet, a threshold of
    0.05 on 0.796 would not see it."""
    assert not make("0.4", "80.9", "0.9").disputed
    assert not make("12.6", "63.8", "21.0").disputed


def test_more_digits_allow_less() -> None:
    """The same difference of 0.04 is within rounding of one decimal and beyond that of two."""
    assert not make("52.6", "33.4", "40.9").disputed  # 40.86
    assert make("52.60", "33.40", "40.90").disputed


@given(st.integers(1, 999), st.integers(1, 999), st.sampled_from([0, 1, 2]), st.booleans())
def test_no_right_table_is_disputed(u: int, s: int, decimals: int, half_up: bool) -> None:
    """Whatever U and S are, a table that rounds U, S and H from full precision is never disputed."""
    exact_u, exact_s = Decimal(u) / 10 + Decimal("0.0371"), Decimal(s) / 10 + Decimal("0.0129")
    h = 2 * exact_u * exact_s / (exact_u + exact_s)
    unit, mode = Decimal(1).scaleb(-decimals), ROUND_HALF_UP if half_up else ROUND_HALF_EVEN
    texts = [str(one.quantize(unit, mode)) for one in (exact_u, exact_s, h)]
    assert make(*texts).dispute == ""


@given(st.integers(100, 999), st.integers(100, 999), st.integers(1, 999))
def test_a_dispute_is_one_that_no_pair_of_numbers_explains(u: int, s: int, h: int) -> None:
    """In tenths: by trying U and S over their whole rounding range, in thousandths, ends included."""

    def harmonic(a: Decimal, b: Decimal) -> Decimal:
        return 2 * a * b / (a + b)

    half = Decimal("0.05")
    corners = [
        harmonic(Decimal(u) / 10 + i, Decimal(s) / 10 + j) for i in (-half, half) for j in (-half, half)
    ]
    explained = min(corners) <= Decimal(h) / 10 + half and Decimal(h) / 10 - half <= max(corners)
    texts = [str(Decimal(one) / 10) for one in (u, s, h)]
    texts = [text if "." in text else f"{text}.0" for text in texts]
    assert (make(*texts).dispute == "") is explained


@pytest.mark.parametrize("texts", [("", "40.0", "10.0"), ("40.0", "", "10.0"), ("40.0", "40.0", "")])
def test_nothing_to_check(texts: tuple[str, str, str]) -> None:
    found = make(*texts)
    assert not found.disputed
    assert math.isnan(found.h_recomputed) is not (texts[2] == "")
    assert not found.complete


def test_nothing_is_right() -> None:
    assert make("0.0", "0.0", "0.0").h_recomputed == 0
    assert not make("0.0", "0.0", "0.0").disputed
    assert not make("0.0", "100", "0.0").disputed


def test_an_empty_row() -> None:
    found = make("", "", "")
    assert found.empty
    assert all(math.isnan(one) for one in found.figures.values())
    assert not make("", "", "50.0").empty


def test_rounding_is_half_a_unit_of_the_last_printed_digit() -> None:
    found = make("66", "33.40", "40.9")
    assert [found.rounding(name) for name in ("Acc", "U", "S", "H")] == [0, 0.5, 0.005, 0.05]


@pytest.mark.parametrize("text", ["high", "101", "-1", "nan", "inf", "7 0"])
def test_what_is_no_percentage(text: str) -> None:
    with pytest.raises(ValueError, match=r"convert|not a percentage"):
        make(text, "40.0", "40.0")


@pytest.mark.parametrize(
    ("dataset", "more", "semantics", "reasons"),
    [
        ("cub", {}, "att", ()),
        ("cub", {}, "original_att", ()),
        ("cub", {"semantics": "sent1024"}, "att", ("1024-d sentence embeddings",)),
        ("cub", {"semantics": "sent1024"}, "sentence", ()),
        ("cub", {}, "sentence", ("class attributes",)),
        ("flo", {"semantics": "sent1024"}, "att", ()),  # FLO's att are text embeddings
        ("sun", {"finetuned": True}, "att", ("fine-tuned backbone",)),
        ("flo", {"semantics": "sent1024", "features": "GBU FLO features"}, "att", ()),
        ("flo", {"semantics": "sent1024", "features": "EPGN-normalised"}, "att", ("EPGN-normalised",)),
    ],
)
def test_what_sets_a_row_apart_from_a_run(
    dataset: str, more: dict[str, object], semantics: str, reasons: tuple[str, ...]
) -> None:
    assert make("50.0", "50.0", "50.0", dataset, **more).differences(semantics) == reasons


@pytest.mark.parametrize(
    ("features", "reasons"),
    [("res101", ()), ("mean", ()), ("mobilenet_v2", ("features other than mobilenet_v2",))],
)
def test_a_run_on_other_features_is_unlike_all_that_is_printed(
    features: str, reasons: tuple[str, ...]
) -> None:
    assert make("50.0", "50.0", "50.0", "cub").differences("att", features) == reasons
