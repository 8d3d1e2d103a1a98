"""What survives: restarts, inboxes that leave memory, a store that fails, and SIGKILL with real processes."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import trio

import rtcore
from rtcore.errors import ErrorCode, StoreError
from rtcore.features.notifications.notification import Place
from rtcore.store.memory_store import MemoryStore
from rtcore.store.store import Change
from rtcore.testing import open_test_hub


def features(**notifications: Any) -> rtcore.FeatureSettings:
    return rtcore.FeatureSettings(notifications=rtcore.NotificationSettings(**notifications))


async def test_inbox_and_what_was_read_of_it_survive_a_restart(autojump_clock: Any) -> None:
    store = rtcore.MemoryStore()
    async with open_test_hub(store=store) as hub:
        first = await hub.notifications.send(user="ann", title="1", key="k", actions=[{"id": "a", "label": "A"}])
        wide = await hub.notifications.send(workspace="default", title="2", data={"x": [1, 2]})
        await hub.notifications.send(
            user="ann", title="3", progress=5, expires_after=10**6, receipts=True, sender="bob"
        )
        await hub.notifications.read("ann", first.id, wide.id)
        before = [(await hub.notifications.get(id)).notification for id in (first.id, wide.id)]
    async with open_test_hub(store=store) as hub:
        assert await hub.notifications.unread("ann") == 1
        assert [(await hub.notifications.get(each.id)).notification for each in before] == before
        assert [receipt.user for receipt in await hub.notifications.receipts(wide.id)] == ["ann"]
        later = await hub.notifications.send(user="ann", title="4", key="k")
        assert later.id > wide.id, "identifiers grow over restarts, or a position would cover what is new"
        assert await hub.notifications.unread("ann") == 2
        assert first.id not in [key.rpartition("/")[2] for key, _ in await store.read("notifications")]


async def test_identifiers_grow_though_the_clock_goes_back() -> None:
    """And though every restart comes before the block of a thousand is used up."""
    store, ids = rtcore.MemoryStore(), []
    for start in (2e9, 1e9, 0.0):
        async with rtcore.open_hub(store=store, clock=lambda start=start: start) as hub:  # type: ignore[misc]
            ids += [(await hub.notifications.send(user="ann", title="t")).id for _ in range(3)]
            await hub.notifications.read("ann", up_to=ids[-1])
    assert ids == sorted(ids)
    async with rtcore.open_hub(store=store, clock=lambda: 0.0) as hub:
        await hub.notifications.send(user="ann", title="t")
        assert await hub.notifications.unread("ann") == 1


async def test_escalation_that_was_due_meanwhile_is_done_once_after_the_restart(autojump_clock: Any) -> None:
    store = rtcore.MemoryStore()
    async with open_test_hub(store=store) as hub:
        await hub.notifications.send(user="ann", title="Down", escalate=[("bob", 300), ("carol", 5000)])
    for _ in range(3):
        clock = trio.current_time() + 1_750_000_000 + 1000
        async with rtcore.open_hub(store=store, clock=lambda clock=clock: clock) as hub:  # type: ignore[misc]
            await trio.sleep(1)
            assert [await hub.notifications.unread(user) for user in ("ann", "bob", "carol")] == [1, 1, 0]
    assert len(await store.read("notifications")) == 2


async def test_inboxes_that_nobody_needs_leave_memory_and_come_back(autojump_clock: Any) -> None:
    async with open_test_hub(features=features(cache_bytes=20_000)) as hub:
        sent = [await hub.notifications.send(user=f"u{number}", title="t" * 100) for number in range(100)]
        await hub.notifications.read("u7", sent[7].id)
        statistics = hub.notifications.statistics()
        assert statistics.bytes <= 20_000
        assert statistics.inboxes < 20
        assert [await hub.notifications.unread(f"u{number}") for number in range(5, 10)] == [1, 1, 0, 1, 1]
        assert hub.notifications.desk.inboxes.busy == 0


async def test_what_a_reader_has_read_counts_as_much_as_what_he_has(autojump_clock: Any) -> None:
    """Many readers of one workspace have nothing of their own, yet each has a mark for each that he read alone."""
    async with open_test_hub(features=features(cache_bytes=200_000)) as hub:
        ids = [(await hub.notifications.send(workspace="default", title="t")).id for _ in range(100)]
        for number in range(100):
            await hub.notifications.read(f"u{number}", *ids[1:])
        statistics = hub.notifications.statistics()
        assert statistics.bytes <= 200_000
        assert statistics.inboxes < 50, "with 99 marks each, of about 50 bytes"
        assert await hub.notifications.unread("u0") == 1


async def test_two_inboxes_stay_however_small_the_room(autojump_clock: Any) -> None:
    """A subscription needs its user's and its workspace's at once; otherwise it would read them for ever."""
    async with open_test_hub(features=features(cache_bytes=1)) as hub:
        async with hub.notifications.desk.inboxes.use(Place("w", "u"), Place("w")):
            pass
        assert hub.notifications.statistics().inboxes == 2


class FailingStore(rtcore.MemoryStore):
    """Refuses to write, or to read, while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = ""

    async def read(self, collection: str, **span: Any) -> Any:
        if self.fails == "read":
            raise StoreError("no")
        return await super().read(collection, **span)

    async def write(self, changes: Iterable[Change]) -> None:
        if self.fails == "write":
            raise StoreError("no")
        await super().write(changes)


async def test_what_cannot_be_written_has_not_happened_and_is_not_told(autojump_clock: Any) -> None:
    store = FailingStore()
    async with open_test_hub(store=store) as hub:
        sent = await hub.notifications.send(user="ann", title="1")
        async with hub.subscribe("notifications:default:ann") as events:
            store.fails = "write"
            for refused in (
                lambda: hub.notifications.send(user="ann", title="2"),
                lambda: hub.notifications.read("ann", sent.id),
                lambda: hub.notifications.update(sent.id, body="x"),
                lambda: hub.notifications.withdraw(sent.id),
            ):
                with pytest.raises(rtcore.RequestError) as caught:
                    await refused()
                assert (caught.value.code, caught.value.retry_after) == (ErrorCode.UNAVAILABLE, 1.0)
            store.fails = ""
            assert await hub.notifications.unread("ann") == 1
            assert (await hub.notifications.get(sent.id)).notification == sent.notification
            with trio.move_on_after(1):
                await events.__anext__()
                raise AssertionError("something was told")
            assert hub.notifications.desk.inboxes.busy == 0


async def test_what_is_due_waits_for_a_store_that_fails(autojump_clock: Any) -> None:
    store = FailingStore()
    async with open_test_hub(store=store) as hub:
        await hub.notifications.send(user="ann", title="t", escalate=[("bob", 10)])
        store.fails = "write"
        await trio.sleep(60)
        assert await hub.notifications.unread("bob") == 0
        store.fails = ""
        await trio.sleep(2)
        assert await hub.notifications.unread("bob") == 1


# SIGKILL

CHILD = """
import os, sys
import trio
import rtcore

path, life, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])

def say(*words):
    os.write(1, (" ".join(words) + "\\n").encode())  # at once: a buffer would die with the process

async def work(hub, worker):
    user = f"u{worker}"
    number = 0
    while True:
        title = f"{life}.{worker}.{number}"
        # What was perhaps sent already is sent again, as a client does that has got no answer.
        for _ in range(2):
            sent = await hub.notifications.send(user=user, title=title, idempotency_key=title)
        wide = await hub.notifications.send(workspace="default", title=title, idempotency_key=f"wide {title}")
        say("sent", user, sent.id, title)
        say("wide", user, wide.id, title)
        if number % 2:
            await hub.notifications.read(user, sent.id, wide.id)
            say("read", user, sent.id, title)
            say("read", user, wide.id, title)
        number += 1

async def main():
    features = rtcore.FeatureSettings(notifications=rtcore.NotificationSettings(kept_notifications=100_000))
    async with rtcore.open_sqlite_store(path) as store, rtcore.open_hub(store=store, features=features) as hub:
        async with trio.open_nursery() as nursery:
            for worker in range(workers):
                nursery.start_soon(work, hub, worker)

trio.run(main)
"""


def run_and_kill(path: Path, *, life: int, workers: int, lines: int) -> list[list[str]]:
    """Let a child work until it has said so much, kill it, and tell all that it said."""
    command = [sys.executable, "-c", CHILD, str(path), str(life), str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        said += child.stdout.readlines()
    assert child.returncode == -9
    return [line.decode().split() for line in said]


@pytest.mark.parametrize("seed", range(4))
def test_killed_process_loses_nothing_that_it_acknowledged_and_repeats_nothing(tmp_path: Path, seed: int) -> None:
    """Twice on the same file: the second life begins with what the first one left."""
    dice, path = random.Random(seed), tmp_path / "rtcore.db"
    said: list[list[str]] = []
    for life in range(2):
        said += run_and_kill(path, life=life, workers=dice.choice([1, 4, 10]), lines=dice.randint(1, 80))
        trio.run(check, path, said)


async def check(path: Path, said: list[list[str]]) -> None:
    async with rtcore.open_sqlite_store(path) as store, rtcore.open_hub(store=store) as hub:
        own = [document["title"] for _, document in await store.read("notifications")]  # type: ignore[index,call-overload]
        board = [document["title"] for _, document in await store.read("workspace_notifications")]  # type: ignore[index,call-overload]
        assert len(own) == len(set(own)), "one was sent twice"
        assert len(board) == len(set(board)), "one was sent twice"
        assert {title for word, _, _, title in said if word == "sent"} <= set(own), "one is lost"
        assert {title for word, _, _, title in said if word == "wide"} <= set(board), "one is lost"
        read = {(user, id) for word, user, id, _ in said if word == "read"}
        for user, id in read:
            receipts = await hub.notifications.receipts(id)
            assert [receipt.user for receipt in receipts] == [user], "what was read is unread"


async def test_names_with_slashes_keep_what_was_read_apart(autojump_clock: Any) -> None:
    """A token may name any printable user: neither shares the record of another, nor reads it as his own."""
    store = MemoryStore()
    readers = [("w", "b/a"), ("w/b", "a"), ("w", "b"), ("w", "b%2Fa")]
    async with open_test_hub(store=store) as hub:
        first = await hub.notifications.send(workspace="w", title="t")
        await hub.notifications.read("b/a", first.id, workspace="w")
        assert [each.user for each in await hub.notifications.receipts(first.id)] == ["b/a"]
    async with open_test_hub(store=store) as hub:
        for workspace, user in readers:
            inbox = await hub.notifications.desk.store.load(Place(workspace, user))
            assert inbox.marks.is_read(first.id) is (user == "b/a"), (workspace, user)
