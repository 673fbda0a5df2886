"""Names that become parts of paths: nothing that passes the check leaves its folder or hides in it."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given, strategies as st

from zslbench.errors import SettingsError
from zslbench.store import checked_name, name_fault, path_name

HOSTILE = [
    "",
    ".",
    "..",
    "../pwn",
    "../../../pwn",
    "a/../../b",
    "a/./b",
    "a//b",
    "/etc/passwd",
    "~/../x/",
    "C:evil",
    "C:\\evil",
    "..\\evil",
    "a\x00b",
    "a\nb",
    "\x1b[2Jx",
    "-rf",
    "--force",
    ".hidden",
    "a.",
    "a ",
    " a",
    "con",
    "NUL.txt",
    "com1",
    "a*",
    "a?",
    'a"b',
    "a<b>",
    "a|b",
    "\u202egpj.exe",
    "\ufeffa",
    "\udc80",
    "x" * 151,
    "ж" * 76,
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("nested", [False, True])
def test_hostile_names_are_refused(name: str, nested: bool) -> None:
    assert name_fault(name, nested=nested)
    with pytest.raises(SettingsError) as raised:
        checked_name(name, "--name", nested=nested)
    assert raised.value.exit_code == 2 and str(raised.value).isprintable()


@pytest.mark.parametrize("name", ["CUB", "my birds", "Vögel", "鳥", "a.b-c_d+e", "b (v2), [1]", "x" * 150])
def test_readable_names_pass(name: str) -> None:
    assert checked_name(name, "--name") == name
    assert checked_name(unicodedata.normalize("NFD", name), "--name") == name
    assert name_fault(f"{name}/{name}") and not name_fault(f"{name}/{name}", nested=True)


@given(st.text(st.characters(), max_size=12), st.booleans())
@example("..", True)
@example("a/..", True)
def test_a_name_that_passes_stays_in_its_folder(name: str, nested: bool) -> None:
    if name_fault(name, nested=nested):
        return
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        assert not path.is_absolute() and not path.drive and ".." not in path.parts
        assert len(path.parts) == name.count("/") + 1 and (nested or len(path.parts) == 1)
        assert not any(part.startswith(".") for part in path.parts)
    assert (Path("root") / name).relative_to("root").as_posix() == name


@given(st.text(st.characters(), max_size=200))
@example("")
@example("..")
@example("con.txt")
def test_any_text_can_be_turned_into_a_name(text: str) -> None:
    assert not name_fault(path_name(text))
    if not name_fault(text):
        assert path_name(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_too(text: str) -> None:
    assert not name_fault(path_name(text))


def test_names_with_another_meaning_are_taken_in_any_case() -> None:
    assert checked_name("att", "--features-name", taken={"att_splits"}) == "att"
    with pytest.raises(SettingsError):
        checked_name("ATT_splits", "--features-name", taken={"att_splits"})
