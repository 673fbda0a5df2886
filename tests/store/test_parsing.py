"""TOML and JSON that nobody should write are refused in moments, with the reason."""

from __future__ import annotations

import time
from pathlib import Path
from tomllib import TOMLDecodeError

import pytest

from zslbench.store.parsing import LARGEST, parse_json, parse_toml, small_text

ABSURD = {
    "nested lists": ("a = " + "[" * 100_000, "nested"),
    "nested tables": ("a = " + "{a=" * 50_000, "nested"),
    "33 levels": ("a = " + "[" * 33 + "]" * 33, "nested"),
    "dotted key": (".".join("a" * 30_000) + " = 1", "parts"),
    "dotted and quoted": ('"a" . ' * 20_000 + "a = 1", "parts"),
    "dotted header": ("[" + ".".join("a" * 100_000) + "]", "parts"),
    "digits": ("a = " + "1" * 5_000, "64 bits"),
    "hexadecimal": ("a = 0x" + "f" * 100_000, "64 bits"),
    "65 bits": (f"a = [{LARGEST + 1}]", "64 bits"),
    "size": ("#" * 300_000, "250,000"),
}


@pytest.mark.parametrize(("text", "reason"), ABSURD.values(), ids=ABSURD)
def test_absurd_toml(text: str, reason: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match=reason) as caught:
        parse_toml(text)
    assert time.process_time() - began < 2
    assert not isinstance(caught.value, TOMLDecodeError)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 1_000_000, "nested"),
        ('{"a":' * 1_000_000, "nested"),
        ("[" * 40 + "]" * 40, "nested"),
        ("1" * 5_000, "64 bits"),
        ('{"a": [-9223372036854775808]}', "64 bits"),
        ("[1, 2", "."),
        (b"\xff\xfe\x00", "."),
    ],
)
def test_absurd_json(text: str | bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_json(text)


def test_what_people_write_is_read() -> None:
    written = '# a.b.c: "x"\n[a.b."c.d"]\nx = [0.1, 0.2, 1e-999999999]\ny = {z = "u.v.w"}\n'
    written += "n = 9223372036854775807\n"
    assert parse_toml(written) == {
        "a": {"b": {"c.d": {"x": [0.1, 0.2, 0.0], "y": {"z": "u.v.w"}, "n": LARGEST}}}
    }
    assert parse_toml("x = [" + "0.5, " * 20_000 + "]")["x"] == [0.5] * 20_000
    assert parse_json('{"a": [1, null, "\\ud800", 1e999]}') == {"a": [1, None, "\ud800", float("inf")]}
    with pytest.raises(TOMLDecodeError):
        parse_toml("a = b")


def test_only_small_files_are_read(tmp_path: Path) -> None:
    import os

    (tmp_path / "good").write_text("ä", "utf-8")
    assert small_text(tmp_path / "good") == "ä"
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(10**12)
    (tmp_path / "latin").write_bytes(b"\xe4")
    (tmp_path / "zero").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    for name in ("huge", "latin", "zero", "pipe", ".", "absent", "nul\0"):
        with pytest.raises(ValueError):
            small_text(tmp_path / name)
