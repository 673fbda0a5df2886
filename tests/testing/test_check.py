"""Running checks: all faults at once, expected failures, and what pytest makes of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path

import pytest

from zslbench.errors import UnknownName
from zslbench.plugin.lookup import Registry
from zslbench.testing import (
    Check,
    ConformanceError,
    NotApplicable,
    check_component,
    check_method,
    checks_for,
    parametrize_with_checks,
)
from zslbench.testing.check import Fault
from zslbench.testing.conformance import run_all, with_expected_failures


def check(name: str, raises: Exception | None = None, expected: str | None = None) -> Check:
    def run() -> None:
        if raises is not None:
            raise raises

    return Check("embedding 'x'", name, "It works.", run, expected)


def test_a_fault_names_subject_check_and_demand() -> None:
    with pytest.raises(ConformanceError) as caught:
        check("a", Fault("it is blue"))()
    assert str(caught.value) == "embedding 'x' fails check 'a': it is blue (rule: It works.)"
    assert caught.value.__cause__ is None


def test_an_exception_of_the_component_keeps_its_traceback() -> None:
    error = KeyError("critic")
    with pytest.raises(ConformanceError, match=r"fails check 'a': KeyError: 'critic' \(rule") as caught:
        check("a", error)()
    assert caught.value.__cause__ is error
    with pytest.raises(ConformanceError, match=r"fails check 'a': ValueError \(rule"):
        check("a", ValueError())()


def test_run_all_reports_every_fault_at_once() -> None:
    run_all([check("a"), check("b", NotApplicable("no data")), check("c", Fault("known"), "known")])
    with pytest.raises(ConformanceError) as caught:
        run_all([check("a", Fault("one")), check("b"), check("c", Fault("two")), check("d", None, "slow")])
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 of 4 checks: embedding 'x' fails check 'a': one (rule: It works.)"
    assert lines[1] == "embedding 'x' fails check 'c': two (rule: It works.)"
    assert lines[2].startswith("embedding 'x' passes check 'd', which expected_failures lists (slow)")


def test_an_expected_failure_must_name_a_check() -> None:
    marked = with_expected_failures([check("a"), check("b")], {"b": "why"})
    assert [one.expected_failure for one in marked] == [None, "why"]
    with pytest.raises(UnknownName, match="no check 'c', known: a, b"):
        with_expected_failures([check("a"), check("b")], {"c": "why"})


@pytest.mark.parametrize("broken", ["unfittable", "raisingstep"])
def test_a_broken_component_reports_its_fault_once(fakes: Registry, broken: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_component("embedding", broken, registry=fakes)
    assert len(str(caught.value).splitlines()) == 1, str(caught.value)
    assert "KeyError: 'critic'" in str(caught.value)
    checks = checks_for("embedding", broken, registry=fakes)
    outcomes = [outcome(one) for one in checks]
    assert outcomes.count(ConformanceError) == 1
    assert outcomes.count(NotApplicable) > 10
    # Each check alone finds it, and again when it is repeated.
    alone = checks_for("embedding", broken, registry=fakes)[-3]
    assert [outcome(alone), outcome(alone)] == [ConformanceError, ConformanceError]


def test_an_expected_failure_hides_no_other() -> None:
    reported: dict[Hashable, str] = {}
    one, other = (replace(check(name, Fault("same")), reported=reported) for name in "ab")
    with pytest.raises(ConformanceError, match="1 of 2 checks: embedding 'x' fails check 'b': same"):
        run_all([replace(one, expected_failure="known"), other])


def outcome(check: Check) -> type[BaseException] | None:
    try:
        check()
    except (ConformanceError, NotApplicable) as error:
        return type(error)
    return None


def test_check_component_and_check_method(fakes: Registry) -> None:
    check_component("classifier", "sound", registry=fakes)
    check_component(
        "classifier", "unseenalike", registry=fakes, expected_failures={"scores_unseen_classes": "a baseline"}
    )
    with pytest.raises(
        ConformanceError, match=r"1 of \d+ checks: classifier 'unseenalike' fails check 'scores_u"
    ):
        check_component("classifier", "unseenalike", registry=fakes)
    with pytest.raises(ConformanceError, match="passes check 'declaration', which expected_failures lists"):
        check_component("classifier", "sound", registry=fakes, expected_failures={"declaration": "why"})
    check_method("eszsl", settings={"dataset.images_per_class": 10})


def test_marks_and_names_for_pytest() -> None:
    mark = parametrize_with_checks([check("a"), check("b", None, "why")]).mark
    plain, expected = mark.args[1]
    assert (mark.args[0], plain.id, expected.id) == ("check", "embedding-x-a", "embedding-x-b")
    assert plain.marks == ()
    (xfail,) = expected.marks
    assert xfail.name == "xfail"
    assert xfail.kwargs == {"reason": "why", "strict": True, "raises": ConformanceError}


AUTHORS_TEST = """
from zslbench.testing import checks_for, parametrize_with_checks

@parametrize_with_checks(checks_for("classifier", "eszsl"))
def test_eszsl(check):
    check()

@parametrize_with_checks(checks_for("classifier", "eszsl", expected_failures={"declaration": "why"})[:2])
def test_pessimist(check):
    check()
"""


@pytest.mark.slow
def test_three_lines_in_an_authors_test_file(tmp_path: Path) -> None:
    path = tmp_path / "test_mine.py"
    path.write_text(AUTHORS_TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    passing = len(checks_for("classifier", "eszsl")) + 1
    assert f"1 failed, {passing} passed" in done.stdout, done.stdout
    assert "test_pessimist[classifier-eszsl-declaration]" in done.stdout
    assert "[XPASS(strict)] why" in done.stdout
