"""An inbox: order, keys, what must go, and what is unread."""

from __future__ import annotations

from typing import Any

from rtcore.features.notifications.inbox import Inbox, unread_in
from rtcore.features.notifications.notification import Level, Notification, Origin, Place, Step
from rtcore.features.notifications.read_marks import ReadMarks

ANN = Place("acme", "ann")


def notification(number: int, **more: Any) -> Notification:
    values: dict[str, Any] = {"kind": "message", "level": Level.INFO, "title": "t", "created_at": 0.0, "ends_at": 100.0}
    return Notification(id=f"{number:03}", place=ANN, **{**values, **more})


def inbox_of(*notifications: Notification) -> Inbox:
    inbox = Inbox(ANN)
    for each in notifications:
        inbox.put(each, 10)
    return inbox


def test_order_is_that_of_sending_whatever_that_of_coming() -> None:
    inbox = inbox_of(notification(2), notification(1), notification(3))
    assert [each.id for each in inbox] == ["001", "002", "003"]
    assert [each.id for each in inbox.newest_first("003")] == ["002", "001"]
    assert [each.id for each in inbox.after("001")] == ["002", "003"]
    assert (len(inbox), inbox.bytes) == (3, 30)
    assert [inbox.newest_up_to(id) for id in ("0", "001", "002x", "~")] == ["", "001", "002", "003"]


def test_putting_one_again_replaces_it_and_its_size() -> None:
    inbox = inbox_of(notification(1))
    inbox.put(notification(1, title="new"), 25)
    assert ([each.title for each in inbox], inbox.bytes) == (["new"], 25)
    inbox.remove("001")
    inbox.remove("001")
    assert (len(inbox), inbox.bytes) == (0, 0)


def test_key_finds_the_newest_and_goes_with_it() -> None:
    inbox = inbox_of(notification(1, key="k"), notification(2, key="k"))
    inbox.remove("001")
    found = inbox.with_key("k")
    assert found is not None
    assert found.id == "002", "the older one did not take the key along"
    inbox.remove("002")
    assert inbox.with_key("k") is None


def test_the_oldest_go_first_but_for_those_that_wait_for_somebody_else() -> None:
    """An escalation must not be lost to a flood of small talk, as long as there is small talk to forget."""
    waiting = notification(1, steps=(Step(user="bob", after=5.0),))
    copy = notification(2, origin=Origin(id="0", user="bob", step=1))
    inbox = inbox_of(waiting, copy, notification(3), notification(4))
    assert [each.id for each in inbox.too_many(4, coming=1)] == ["003"]
    assert [each.id for each in inbox.too_many(1)] == ["003", "004", "001"]
    inbox.marks = ReadMarks().reading(["001"], 0.0)
    assert [each.id for each in inbox.too_many(3)] == ["001"], "it was read"
    assert inbox.too_many(4) == []


def test_unread_is_what_is_neither_read_nor_over_the_newest_first() -> None:
    inbox = inbox_of(*(notification(number, ends_at=5.0 if number == 4 else 100.0) for number in range(1, 7)))
    marks = ReadMarks().reading_up_to("002", 0.0).reading(["005"], 0.0)
    assert [each.id for each in unread_in(inbox, marks, 5.0)] == ["006", "003"]
