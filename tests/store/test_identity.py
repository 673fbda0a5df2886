"""The id of a run follows from what it depends on, and from all of it."""

from __future__ import annotations

import enum
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from zslbench.store import identity
from zslbench.store.identity import run_id, run_ids


class Colour(enum.StrEnum):
    RED = "red"


leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
identities = st.dictionaries(st.text(), trees, min_size=1, max_size=4)


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return tuple(reversed_keys(one) for one in value) if isinstance(value, list) else value


def changed(value: Any, leaf: Any) -> Iterator[Any]:
    """Every copy of ``value`` with one leaf (or empty container) replaced."""
    if isinstance(value, dict) and value:
        for key in value:
            yield from ({**value, key: one} for one in changed(value[key], leaf))
    elif isinstance(value, list) and value:
        for i in range(len(value)):
            yield from ([*value[:i], one, *value[i + 1 :]] for one in changed(value[i], leaf))
    elif value != leaf or isinstance(value, bool) != isinstance(leaf, bool):
        yield leaf


def test_the_hash_is_that_of_the_canonical_text() -> None:
    text = '{"a":[1,2.5,null],"b":{"c":true,"d":"\\u00fc"}}'
    given = {"b": {"d": "ü", "c": True}, "a": (1.0, 2.5, None)}
    assert run_id(given) == hashlib.sha256(text.encode()).hexdigest()[:16]


@given(identities)
def test_order_of_keys_and_kind_of_sequence_do_not_matter(identity: dict[str, Any]) -> None:
    assert run_id(reversed_keys(identity)) == run_id(identity)


@given(identities, leaves)
def test_any_changed_leaf_changes_the_id(identity: dict[str, Any], leaf: Any) -> None:
    for other in changed(identity, leaf):
        assert run_id(other) != run_id(identity)


def test_equal_numbers_are_the_same_and_neighbours_are_not() -> None:
    assert run_id({"x": 1}) == run_id({"x": 1.0}) == run_id({"x": np.float64(1)})
    assert run_id({"x": 0.0}) == run_id({"x": -0.0})
    assert run_id({"x": 0.1}) != run_id({"x": math.nextafter(0.1, 1)})
    assert len({run_id({"x": one}) for one in (1, True, "1", None, [1], {"1": 1})}) == 6


@pytest.mark.parametrize("value", [Path("a"), Colour.RED, {1}, b"a", np.int64(1), np.zeros(2), object()])
def test_what_is_not_plain_data_is_named(value: Any) -> None:
    with pytest.raises(TypeError, match=r"identity\['settings'\]\[1\]: "):
        run_id({"settings": [0, value]})


def test_keys_must_be_text_and_numbers_finite() -> None:
    with pytest.raises(TypeError, match=r"identity\['a'\]: key 1 is not text"):
        run_id({"a": {1: 2}})
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match=r"identity\['a'\]: -?(nan|inf)"):
            run_id({"a": bad})


def test_ids_for_each_seed_are_those_of_the_whole_identity() -> None:
    nested = {"settings": {"seed": 3, "x": [1, 2.5, None]}, "seed": 0, "a": {"seed": 0}}
    awkward = {**nested, "zone": {"seed": identity._ANY_SEED}}
    for one in (nested, awkward, {"z": 1}):
        ids = run_ids(one)
        assert [ids(seed) for seed in (0, 1, 2**63 - 1)] == [
            run_id({**one, "seed": seed}) for seed in (0, 1, 2**63 - 1)
        ]
