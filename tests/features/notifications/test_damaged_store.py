"""One document that a disk has damaged takes neither the inbox from its user nor the hub from everybody."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio

from rtcore.errors import StoreError
from rtcore.store.memory_store import MemoryStore
from rtcore.store.store import Put
from rtcore.testing import open_test_hub


async def sent_twice(store: MemoryStore) -> None:
    async with open_test_hub(store=store) as hub:
        await hub.notifications.send(user="ann", title="first", escalate=[("bob", 300)])
        await hub.notifications.send(user="ann", title="second")


async def damage(store: MemoryStore, collection: str, document: Any) -> None:
    """Put something else in the place of the first document of a collection."""
    ((key, _), *_) = await store.read(collection)
    await store.write([Put(collection, key, document)])


@pytest.mark.parametrize(
    "document",
    [
        None,
        7,
        {},
        {"id": "x"},
        {"at": "soon", "kind": "escalate", "id": "x"},
        {"at": 1.0, "kind": "end", "id": "x", "a": 1},
    ],
)
async def test_damaged_deadline_is_kept_by_its_key(
    document: Any, autojump_clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The earliest, bob's turn: it comes all the same, once, and is then forgotten."""
    store = MemoryStore()
    await sent_twice(store)
    count = len(await store.read("notification_deadlines"))
    await damage(store, "notification_deadlines", document)
    async with open_test_hub(store=store):
        await trio.sleep(301)
        assert len(await store.read("notifications", prefix="default/bob/")) == 1
        assert len(await store.read("notification_deadlines")) == count  # bob's end in the place of bob's turn
    assert "its key is believed" in caplog.text


@pytest.mark.parametrize("document", [None, [], {"id": 7}, {"level": "loud"}])
async def test_damaged_notification_is_passed_over_and_said(
    document: Any, autojump_clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    await sent_twice(store)
    ((_, whole), *_) = await store.read("notifications")
    assert isinstance(whole, dict)
    await damage(store, "notifications", {**whole, **document} if isinstance(document, dict) else document)
    async with open_test_hub(store=store) as hub:
        assert await hub.notifications.unread("ann") == 1
    assert [record.levelno for record in caplog.records if "passed over" in record.message] == [logging.ERROR]


@pytest.mark.parametrize("kind", ["ent", "", "END"])
async def test_deadline_of_no_kind_is_passed_over(
    kind: str, autojump_clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Others come in their turn, also where there is a page of these before them."""
    store = MemoryStore()
    await sent_twice(store)
    await store.write(
        [
            Put("notification_deadlines", f"{number:013x}/{kind}/x", {"at": number / 1000, "kind": kind, "id": "x"})
            for number in range(300)
        ]
    )
    async with open_test_hub(store=store):
        await trio.sleep(301)
        assert len(await store.read("notifications", prefix="default/bob/")) == 1
    assert "notification_deadlines/" in caplog.text


@pytest.mark.parametrize("document", [7, [], {}, {"workspace": 5}, {"workspace": "default", "user": 5}])
async def test_damaged_place_is_passed_over_and_said(
    document: Any, autojump_clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    await sent_twice(store)
    await damage(store, "notification_places", document)
    async with open_test_hub(store=store) as hub:
        await trio.sleep(301)
        assert await hub.notifications.unread("ann") == 2
    assert "notification_places/" in caplog.text


@pytest.mark.parametrize("document", ["7", -1, 1.5, True, []])
async def test_hub_does_not_begin_without_the_number_that_identifiers_go_on_from(document: Any) -> None:
    """What is sent then would stand before what is there."""
    store = MemoryStore()
    await sent_twice(store)
    await damage(store, "notification_sequence", document)
    with pytest.RaisesGroup(
        pytest.RaisesExc(StoreError, match="notification_sequence/reserved: the document is damaged"),
        flatten_subgroups=True,
    ):
        async with open_test_hub(store=store):
            pass
