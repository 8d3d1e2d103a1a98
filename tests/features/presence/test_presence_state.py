"""Who is present: users, connections, and what comes of several."""

from __future__ import annotations

import pytest

from rtcore.errors import RequestError
from rtcore.features.presence.appearance import Appearance, UserPresence
from rtcore.features.presence.presence_diff import changes, parts
from rtcore.features.presence.presence_state import PresenceState
from rtcore.features.presence.roster import Roster

ONLINE, AWAY, OFFLINE = (Appearance(status=status) for status in ("online", "away", "offline"))


def state(users: int = 100, connections: int = 5) -> PresenceState:
    return PresenceState(users, connections)


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        (["online"], "online"),
        (["away"], "away"),
        (["offline"], "offline"),
        (["away", "online"], "online"),
        (["online", "away"], "online"),
        (["offline", "away"], "away"),
        (["offline", "away", "online", "offline"], "online"),
    ],
)
def test_user_appears_as_the_best_of_his_connections(said: list[str], seen: str) -> None:
    there = state()
    for key, status in enumerate(said):
        there.say("ann", key, Appearance(status=status), 1.0)
    assert there.find("ann").status == seen
    assert there.find("ann").connections == len(said)


def test_page_and_activity_are_of_the_connection_that_spoke_last() -> None:
    there = state()
    there.say("ann", 1, Appearance(page="/a", activity="editing"), 1.0)
    there.say("ann", 2, Appearance(page="/b"), 2.0)
    there.say("ann", 3, Appearance(status="away", page="/c"), 3.0)
    assert (there.find("ann").page, there.find("ann").activity) == ("/b", None)
    there.say("ann", 1, Appearance(page="/a", activity="viewing"), 4.0)
    assert (there.find("ann").page, there.find("ann").activity) == ("/a", "viewing")
    there.remove("ann", 1, 5.0)
    there.remove("ann", 2, 5.0)
    assert (there.find("ann").status, there.find("ann").page) == ("away", "/c")


def test_user_is_there_since_his_first_connection_until_his_last() -> None:
    there = state()
    there.say("ann", 1, ONLINE, 10.0)
    there.say("ann", 2, AWAY, 20.0)
    there.remove("ann", 1, 30.0)
    assert there.find("ann").since == 10.0
    there.say("ann", 2, OFFLINE, 40.0)
    assert there.find("ann") == UserPresence(user="ann", status="offline")
    there.say("ann", 2, ONLINE, 50.0)
    assert there.find("ann").since == 50.0
    assert there.remove("ann", 2, 60.0)
    assert not there.remove("ann", 2, 60.0)
    assert len(there) == 0


def test_connection_that_lingers_counts_until_another_takes_its_place() -> None:
    there = state(connections=2)
    there.say("ann", 1, ONLINE, 1.0)
    there.say("ann", 2, ONLINE, 1.0)
    with pytest.raises(RequestError, match=r"limit of connections_per_user=2 already") as refused:
        there.say("ann", 3, ONLINE, 1.0)
    assert refused.value.transient
    assert there.linger("ann", 1)
    assert there.find("ann").connections == 1
    there.say("ann", 3, ONLINE, 2.0)
    assert not there.remove("ann", 1, 3.0), "its place was taken"
    assert there.find("ann") == UserPresence(user="ann", status="online", since=1.0)
    assert not there.linger("ann", 1)
    assert not there.linger("bob", 1)


def test_lone_connection_lingers_so_that_nobody_sees_a_reload() -> None:
    there = state()
    there.say("ann", 1, ONLINE, 1.0)
    there.linger("ann", 1)
    assert there.find("ann").status == "online"
    there.say("ann", 2, ONLINE, 2.0)
    assert there.find("ann").since == 1.0


def test_silent_connection_is_away_until_it_speaks() -> None:
    there = state()
    there.say("ann", 1, ONLINE, 1.0)
    there.set_idle("ann", 1, 2.0)
    assert there.find("ann").status == "away"
    assert there.says("ann", 1) == ONLINE, "it said so itself"
    there.say("ann", 1, ONLINE, 3.0)
    assert there.find("ann").status == "online"
    there.say("ann", 1, OFFLINE, 4.0)
    there.set_idle("ann", 1, 5.0)
    assert there.find("ann").status == "offline", "silence brings nobody back"
    there.set_idle("bob", 1, 5.0)


def test_workspace_has_so_many_users_and_no_more() -> None:
    there = state(users=2)
    there.say("ann", 1, ONLINE, 1.0)
    there.say("bob", 1, ONLINE, 1.0)
    with pytest.raises(RequestError, match="the workspace holds its limit of users=2"):
        there.say("cid", 1, ONLINE, 1.0)
    there.say("bob", 2, ONLINE, 1.0)
    assert sorted(there) == ["ann", "bob"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"status": "busy"}, 'status: expected one of "online", "away", "offline", got "busy"'),
        ({"activity": "sleeping"}, 'activity: expected one of "viewing", "editing", "commenting", got "sleeping"'),
        ({"page": ""}, 'page: expected text of 1 to 255 characters, got ""'),
        ({"page": "x" * 256}, f'page: expected text of 1 to 255 characters, got "{"x" * 60}"... (256 characters)'),
        ({"page": "\ud800"}, 'page: expected text of 1 to 255 characters, got "\\ud800"'),
        ({"page": 7}, "page: expected text of 1 to 255 characters, got 7"),
    ],
)
def test_appearance_says_what_it_may_be(fields: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        Appearance(**fields)
    assert str(refused.value) == message


def tell(there: PresenceState, roster: Roster, users: list[str], maximum_bytes: int = 1000) -> list[tuple[str, object]]:
    told = []
    for part in parts(changes(users, there, roster), len(roster), maximum_bytes):
        told.append((part.type, part.data))
        for change in part.changes:
            change.apply(roster)
    return told


def test_what_is_told_is_the_difference_and_nothing_where_there_is_none() -> None:
    there, roster = state(), Roster()
    there.say("ann", 1, ONLINE, 1.0)
    there.say("bob", 1, ONLINE, 1.0)
    there.say("cid", 1, ONLINE, 1.0)
    there.remove("cid", 1, 1.0)
    ((type, data),) = tell(there, roster, ["ann", "bob", "cid"])
    assert type == "presence:update"
    assert isinstance(data, dict)
    assert [record["user_id"] for record in data["joined"]] == ["ann", "bob"]
    assert (data["left"], data["changed"], data["total"]) == ([], [], 2)
    assert tell(there, roster, ["ann", "bob", "cid"]) == []
    there.say("ann", 1, Appearance(page="/x"), 2.0)
    there.say("bob", 1, AWAY, 2.0)
    there.say("bob", 1, ONLINE, 2.0)
    ((type, data),) = tell(there, roster, ["ann", "bob"])
    assert type == "presence:activity"
    assert data == {"users": [there.find("ann").record()]}
    there.remove("ann", 1, 3.0)
    there.say("bob", 1, AWAY, 3.0)
    told = {"joined": [], "left": ["ann"], "changed": [there.find("bob").record()], "total": 1}
    assert tell(there, roster, ["ann", "bob"]) == [("presence:update", told)]


def test_user_who_left_and_came_back_between_two_steps_is_told_as_changed() -> None:
    there, roster = state(), Roster()
    there.say("ann", 1, ONLINE, 1.0)
    tell(there, roster, ["ann"])
    there.remove("ann", 1, 2.0)
    there.say("ann", 2, ONLINE, 3.0)
    ((_, data),) = tell(there, roster, ["ann"])
    assert isinstance(data, dict)
    assert data["changed"] == [there.find("ann").record()]


def test_many_changes_are_split_into_events_of_a_size() -> None:
    """Ten thousand users who come back after a restart are not one event of a megabyte."""
    there, roster = state(users=1000), Roster()
    users = [f"user{number:03}" for number in range(300)]
    for user in users:
        there.say(user, 1, ONLINE, 1.0)
    told = tell(there, roster, users, maximum_bytes=4000)
    assert [len(data["joined"]) for _, data in told] == [39] * 7 + [27]  # type: ignore[index]  # an object
    assert [data["total"] for _, data in told] == [*range(39, 274, 39), 300]  # type: ignore[index]  # an object
    for user in users:
        there.remove(user, 1, 2.0)
    assert len(tell(there, roster, users, maximum_bytes=4000)) > 1
    assert len(roster) == 0
    there.say("ann", 1, ONLINE, 1.0)
    assert len(tell(there, roster, ["ann"], maximum_bytes=1)) == 1, "one is always told"
