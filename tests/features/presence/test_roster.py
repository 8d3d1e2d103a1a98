"""The list as it was told, page by page."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from rtcore.features.presence.appearance import UserPresence
from rtcore.features.presence.roster import Roster


def put(roster: Roster, user: str, **more: Any) -> None:
    presence = UserPresence(user=user, status="online", **more)
    roster.put(presence, presence.text())


def names(roster: Roster, after: str | None, most: int, maximum_bytes: int = 10**6) -> tuple[list[str], bool]:
    page = json.loads(roster.page(after, most, maximum_bytes).text())
    assert page["total"] == len(roster)
    return [record["user_id"] for record in page["users"]], page["more"]


def test_empty_list_is_a_page() -> None:
    assert json.loads(Roster().page(None, 10, 100).text()) == {"users": [], "total": 0, "more": False}


def test_pages_follow_each_other_by_name() -> None:
    roster = Roster()
    for user in ("dan", "ann", "eve", "bob", "cid"):
        put(roster, user)
    assert names(roster, None, 2) == (["ann", "bob"], True)
    assert names(roster, "bob", 2) == (["cid", "dan"], True)
    assert names(roster, "dan", 2) == (["eve"], False)
    assert names(roster, "eve", 2) == ([], False)
    roster.drop("bob")
    assert names(roster, "bob", 9) == (["cid", "dan", "eve"], False), "who it ended with need not be there any more"


def test_page_is_no_longer_than_so_many_bytes_and_never_empty() -> None:
    roster = Roster()
    for user in ("ann", "bob", "cid"):
        put(roster, user, page="x" * 100)
    assert names(roster, None, 3, maximum_bytes=10) == (["ann"], True)
    assert names(roster, "ann", 3, maximum_bytes=450) == (["bob", "cid"], False)


def test_first_page_is_made_once_for_all_who_subscribe() -> None:
    """Ten thousand clients that connect at once cost one page."""
    roster = Roster()
    put(roster, "ann")
    first = roster.page(None, 100, 10**6)
    assert roster.page(None, 100, 10**6) is first
    assert roster.page(None, 1, 10**6) is not first
    put(roster, "ann", page="/x")
    assert names(roster, None, 100) == (["ann"], False)
    assert b"/x" in roster.page(None, 100, 10**6).users
    roster.drop("ann")
    assert names(roster, None, 100) == ([], False)


@pytest.mark.parametrize("seed", range(5))
def test_list_is_what_was_put_and_not_dropped(seed: int) -> None:
    chance = random.Random(seed)
    roster, told = Roster(), dict[str, str]()
    for step in range(2000):
        user = f"u{chance.randrange(100)}"
        if user in told and chance.random() < 0.5:
            roster.drop(user)
            del told[user]
        else:
            put(roster, user, page=str(step))
            told[user] = str(step)
        if step % 100 == 0:
            found, after, more = [], None, True
            while more:
                page, more = names(roster, after, 7)
                found += page
                after = page[-1] if page else after
            assert found == sorted(told)
    for user, page in told.items():
        there = roster.find(user)
        assert there is not None
        assert there.page == page
