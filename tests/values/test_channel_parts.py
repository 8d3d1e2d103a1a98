"""Names of users and workspaces as parts of channel names."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import rtcore
from rtcore.values.channels import (
    CHANNEL_NAME_LENGTH,
    channel_part,
    check_channel_name,
    find_own_channel,
    is_channel_name,
    name_of_part,
    names_of_channel,
    own_channel,
)

EXAMPLES: Final = [
    ("ann", "ann"),
    ("A-Z_0.9", "A-Z_0.9"),
    ("-", "-"),
    (".", "."),
    ("ada@example.com", "ada~40example.com"),
    ("auth0|5f7c", "auth0~7C5f7c"),
    ("urn:x:1", "urn~3Ax~3A1"),
    (":", "~3A"),
    ("~", "~7E"),
    ("a~40b", "a~7E40b"),
    ("Zoë", "Zo~C3~AB"),
    ("Acme & Söhne", "Acme~20~26~20S~C3~B6hne"),
    ("名", "~E5~90~8D"),
    ("🙂", "~F0~9F~99~82"),
    ("a/b", "a~2Fb"),
    ("100%", "100~25"),
    ("%40", "~2540"),
    ("!'()*", "~21~27~28~29~2A"),
    ("{user}", "~7Buser~7D"),
    ("a\n", "a~0A"),
    ("\0", "~00"),
    ("\x7f", "~7F"),
    ("٣", "~D9~A3"),  # a digit, but not one of ASCII
]
NO_PARTS: Final = {
    "empty": "",
    "no digits": "a~",
    "one digit": "a~4",
    "lower case": "a~3ab",
    "half lower case": "~3a",
    "no hexadecimal digit": "~4G",
    "an escape for a letter": "~61nn",
    "an escape for a dot": "a~2Eb",
    "a colon": "a:b",
    "an at sign": "a@b",
    "a space": "a b",
    "a newline": "ann\n",
    "a name of another script": "Zoë",
    "a byte that ends nothing": "~80",
    "a character cut short": "~C3",
    "a longer form than needed": "~C0~AF",
    "a surrogate": "~ED~A0~80",
    "past the last character": "~F4~90~80~80",
    "a lone surrogate": "a\udc00",
}
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
awkward = st.text(st.sampled_from("a0~4Ee:@%2 \xe9"), min_size=1, max_size=8)
legal_parts = st.from_regex(r"\A[A-Za-z0-9_.~-]{1,8}\Z")


@pytest.mark.parametrize(("name", "part"), EXAMPLES)
def test_name_has_exactly_this_part(name: str, part: str) -> None:
    assert channel_part(name) == part
    assert name_of_part(part) == name


@pytest.mark.parametrize("part", NO_PARTS.values(), ids=NO_PARTS)
def test_other_spellings_are_parts_of_no_name(part: str) -> None:
    """With two spellings of one name, a channel would have two names, and rules about it would miss one."""
    with pytest.raises(ValueError, match="not a name as channel_part writes it"):
        name_of_part(part)


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "an empty name has no channel"), ("a\ud800", "a name with a lone surrogate has no channel")],
)
def test_name_without_a_part_is_refused_in_words(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        channel_part(name)


@given(name=texts | awkward)
@example(name="a" * 300)
def test_part_of_any_name_is_legal_and_leads_back(name: str) -> None:
    part = channel_part(name)
    assert name_of_part(part) == name
    assert re.fullmatch(r"(?:[A-Za-z0-9_.-]|~[0-9A-F]{2})+", part)
    assert len(part) <= 3 * len(name.encode())
    assert is_channel_name(f"n:{part}") is (len(part) + 2 <= CHANNEL_NAME_LENGTH)


@given(one=awkward, other=awkward)
def test_two_names_never_have_one_part(one: str, other: str) -> None:
    assert (channel_part(one) == channel_part(other)) is (one == other)


@given(part=legal_parts)
def test_what_can_be_read_is_what_would_be_written(part: str) -> None:
    """The inverse takes nothing that `channel_part` does not give."""
    try:
        name = name_of_part(part)
    except ValueError:
        return
    assert channel_part(name) == part


@given(one=st.lists(awkward, min_size=1, max_size=3), other=st.lists(awkward, min_size=1, max_size=3))
@example(one=["a", "b:c"], other=["a:b", "c"])
@example(one=["a", "b"], other=["a:b"])
def test_channels_of_other_names_are_other_channels(one: list[str], other: list[str]) -> None:
    assert (own_channel("n", *one) == own_channel("n", *other)) is (one == other)
    assert names_of_channel(own_channel("n", *one)) == tuple(one)


def test_names_of_all_planes_have_legal_channels_and_lead_back() -> None:
    """Twenty thousand, as a seed gives them."""
    choice = random.Random(20)
    for _ in range(20_000):
        bounds = choice.choices([(1, 0x80), (0x80, 0xD800), (0xE000, 0x110000)], k=choice.randrange(1, 12))
        name = "".join(chr(choice.randrange(*each)) for each in bounds)
        assert name_of_part(check_channel_name(own_channel("n", name)).removeprefix("n:")) == name


def test_channel_that_does_not_fit_is_refused_with_the_limit() -> None:
    """An escaped character counts as often as it is long."""
    assert len(own_channel("nn", "ä" * 42)) == 255
    with pytest.raises(ValueError, match="channel name of 258 characters exceeds the limit of 255"):
        own_channel("abcde", "ä" * 42)


@pytest.mark.parametrize("names", [("",), (None,), ("a", None), ("a\udc00",), ("x" * 254,), ("ä" * 43,)])
def test_channel_is_not_found_for_who_has_none(names: tuple[str | None, ...]) -> None:
    assert find_own_channel("n", *names) is None


def test_channel_is_found_for_who_has_one() -> None:
    assert find_own_channel("n", "w", "a@b") == "n:w:a~40b"
    assert names_of_channel("n:w:a~40b") == ("w", "a@b")
    assert names_of_channel("n:w:a~4") is None
    assert names_of_channel("n") == ()


@pytest.mark.parametrize("name", ["n:~40", "n~", "a~b:c", "n:a~40b"])
def test_tilde_may_stand_in_a_channels_name(name: str) -> None:
    assert check_channel_name(name) == name


@pytest.mark.parametrize("name", ["~", "~n", "~40:a"])
def test_tilde_may_not_begin_a_channels_name(name: str) -> None:
    """Like the other signs: a name begins with a letter or digit."""
    with pytest.raises(ValueError, match="begin with a letter or digit"):
        check_channel_name(name)


def test_both_directions_are_public() -> None:
    assert rtcore.name_of_part(rtcore.channel_part("ada@example.com")) == "ada@example.com"


def test_page_of_the_protocol_tells_true_examples() -> None:
    """Its function for browsers is three lines; these are the cases that it has to get right."""
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    section = page.split("\n### Names in channels\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `(.*)` \| `(.*)` \|$", section, re.MULTILINE)
    assert len(found) == 5
    for name, part in found:
        assert channel_part(name.replace("\\|", "|")) == part
