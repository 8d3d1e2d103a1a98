"""A refused value is repeated so that its sender knows it again, and nobody is harmed by it."""

from __future__ import annotations

from typing import Any

import pytest

from rtcore.values.rules import show_setting
from rtcore.values.secret import Secret
from rtcore.values.shown import show


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (21, "21"),
        (-0.5, "-0.5"),
        (1e300, "1e+300"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        ("purple", '"purple"'),
        ('a"b\\', '"a\\"b\\\\"'),
        ("größer", '"größer"'),
        ([1, 2], "an array"),
        ({"a": 1}, "an object"),
        (b"a", "bytes"),
    ],
)
def test_scalars_are_shown_as_json_and_all_else_by_its_kind(value: Any, shown: str) -> None:
    assert show(value) == shown


def test_long_text_is_cut_and_its_length_told() -> None:
    """A message is no way to have a megabyte sent back."""
    assert show("x" * 60) == f'"{"x" * 60}"'
    assert show("x" * 5000) == f'"{"x" * 60}"... (5000 characters)'
    assert len(show("\n" * 1_000_000)) < 200
    assert len(show("\U0001f600\n" * 1_000_000)) < 800


def test_number_that_python_does_not_write_is_shown_by_its_size() -> None:
    """`str` refuses numbers of over 4300 digits: an error about an error."""
    assert show(10**59) == "1" + "0" * 59
    assert show(-(10**59)) == "-1" + "0" * 59
    assert show(10**5000) == "a whole number of 16610 bits"


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[31mb", "a\u202eb", "a\ud800", "a\u2028b", "\x7f"])
def test_what_a_log_would_not_show_as_it_is_is_escaped(text: str) -> None:
    """Line ends forge lines of a log, marks of direction turn them round, and a lone surrogate cannot be sent."""
    shown = show(text)
    assert shown.isascii()
    assert shown.isprintable()


@pytest.mark.parametrize("value", [None, True, 5, 0.5, "hunter2", ["hunter2"], {"hunter2": 1}, Secret("hunter2")])
def test_secret_is_told_by_kind_and_length_at_most(value: Any) -> None:
    kinds = {"null", "a boolean", "a number", "text", "an array", "an object", "7 bytes"}
    assert show(value, secret=True) in kinds


def test_secret_hides_itself_from_those_who_forget() -> None:
    assert show(Secret("hunter2")) == "7 bytes"


def test_settings_have_words_of_their_own() -> None:
    """TOML has tables and no null."""
    assert [show_setting(value) for value in (None, {}, [], True, 5)] == ["nothing", "a table", "a list", "true", "5"]
