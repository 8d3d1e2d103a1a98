"""What every store promises, asked of both."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from rtcore.store.store import Change, Delete, Put, Store
from rtcore.values.events import Json

OpenStore = Callable[[], AbstractAsyncContextManager[Store]]
DOCUMENTS: list[Json] = [
    None,
    True,
    0,
    -1.5,
    2**63,
    "",
    "ü \U0001f600 \0 \"'",
    [],
    {},
    [1, [2, [None]], {"a": {"": "b"}}],
    {"ß": "x" * 5000, "nested": [{"n": number} for number in range(50)]},
]
KEYS = [
    "\0",
    "\0\0",
    " ",
    "%",
    "*",
    "A",
    "a",
    "a\0",
    "a\0b",
    "a/1",
    "a/10",
    "a/2",
    "aa",
    "a\uffff",
    "b",
    "é",
    "\uffff",
    "\U0001f600",
]


async def fill(store: Store, *keys: str, collection: str = "things") -> None:
    await store.write([Put(collection, key, {"key": key}) for key in keys])


async def keys_of(store: Store, collection: str = "things", **arguments: Any) -> list[str]:
    return [key for key, _ in await store.read(collection, **arguments)]


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_document_comes_back_as_it_was_put(store: Store, document: Json) -> None:
    await store.write([Put("things", "a", document)])
    assert await store.get("things", "a") == document
    assert await store.read("things") == [("a", document)]


async def test_what_was_never_put_is_not_there(store: Store) -> None:
    assert await store.get("things", "a") is None
    assert await store.read("things") == []


async def test_second_put_takes_the_place_of_the_first(store: Store) -> None:
    await store.write([Put("things", "a", 1), Put("things", "a", 2)])
    await store.write([Put("things", "a", 3)])
    assert await store.read("things") == [("a", 3)]


async def test_changes_of_a_write_are_made_in_their_order(store: Store) -> None:
    await store.write([Put("things", "a", 1), Delete("things", "a"), Delete("things", "b"), Put("things", "b", 2)])
    assert await store.read("things") == [("b", 2)]


async def test_deleting_what_is_not_there_is_no_error(store: Store) -> None:
    """Whoever repeats a delete, not knowing whether the first one came through, should not have to look."""
    await store.write([Delete("things", "a")])
    await fill(store, "a")
    await store.write([Delete("things", "a"), Delete("things", "a")])
    assert await store.read("things") == []


async def test_collections_do_not_see_each_other(store: Store) -> None:
    await store.write([Put("one", "a", 1), Put("two", "a", 2)])
    await store.write([Delete("one", "a")])
    assert (await store.get("one", "a"), await store.get("two", "a")) == (None, 2)


async def test_keys_come_in_the_order_of_their_bytes(store: Store) -> None:
    mixed = random.Random(1).sample(KEYS, len(KEYS))
    await fill(store, *mixed)
    assert await keys_of(store) == sorted(KEYS, key=str.encode) == KEYS


@pytest.mark.parametrize("prefix", ["", "a", "a\0", "a/", "a/1", "%", "*", "\uffff", "\U0001f600", "c", "a" * 2000])
async def test_prefix_chooses_the_keys_that_begin_so(store: Store, prefix: str) -> None:
    """As it stands: `%` and `*` are characters like all others."""
    await fill(store, *KEYS)
    assert await keys_of(store, prefix=prefix) == [key for key in KEYS if key.startswith(prefix)]


@pytest.mark.parametrize("after", ["", "\0", "a", "a/", "a/1", "b", "zz", "\U0001f600"])
@pytest.mark.parametrize("prefix", ["", "a"])
async def test_after_chooses_the_keys_behind_it(store: Store, prefix: str, after: str) -> None:
    await fill(store, *KEYS)
    expected = [key for key in KEYS if key.startswith(prefix) and key > after]
    assert await keys_of(store, prefix=prefix, after=after) == expected


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages_give_everything_once(store: Store, limit: int) -> None:
    await fill(store, *KEYS)
    seen: list[str] = []
    while page := await keys_of(store, after=seen[-1] if seen else None, limit=limit):
        assert len(page) <= limit
        seen += page
    assert seen == KEYS


async def test_document_is_kept_as_it_was_when_it_was_written(store: Store) -> None:
    """A feature goes on changing its state; what it changed after the write it has not written."""
    inner: list[Json] = [1]
    await store.write([Put("things", "a", {"inner": inner})])
    inner.append(2)
    first = await store.get("things", "a")
    assert first == {"inner": [1]}
    first["inner"].append(3)
    assert await store.get("things", "a") == {"inner": [1]}


async def test_tuple_is_kept_as_the_list_that_json_has(store: Store) -> None:
    await store.write([Put("things", "a", (1, 2))])
    assert await store.get("things", "a") == [1, 2]


async def test_every_call_is_a_checkpoint(store: Store) -> None:
    with assert_checkpoints():
        await store.write([Put("things", "a", 1)])
    with assert_checkpoints():
        await store.write([])
    with assert_checkpoints():
        await store.get("things", "a")
    with assert_checkpoints():
        await store.read("things")


async def test_call_that_was_cancelled_before_did_nothing(store: Store) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.write([Put("things", "a", 1)])
        pytest.fail("the write returned")  # pragma: no cover
    assert scope.cancelled_caught
    for question in (lambda: store.read("things"), lambda: store.get("things", "a")):
        with trio.CancelScope() as scope:
            scope.cancel()
            await question()
        assert scope.cancelled_caught
    assert await store.read("things") == []


async def test_writes_are_carried_out_in_the_order_of_their_calls(store: Store) -> None:
    """Although Trio runs tasks that are ready in any order: the last call is the one that stays."""
    called: list[int] = []

    async def put(number: int) -> None:
        called.append(number)
        await store.write([Put("things", "latest", number)])

    for _ in range(20):
        called.clear()
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(put, number)
        assert await store.get("things", "latest") == called[-1]


async def test_statistics_count_what_was_done(store: Store) -> None:
    before = store.statistics()
    await store.write([Put("things", "a", 1), Delete("things", "b")])
    await store.write([])
    await store.read("things")
    await store.get("things", "a")
    after = store.statistics()
    assert (after.writes, after.commits, after.changes, after.reads, after.failures) == (1, 1, 2, 2, 0)
    assert after.bytes > 0
    assert after.latest_failure is None
    assert (before.writes, before.reads) == (0, 0)


@pytest.mark.parametrize("seed", range(8))
async def test_random_life_agrees_with_a_dictionary(open_store: OpenStore, seed: int) -> None:
    """Puts, deletes, groups, pages and cancelled writers, with a reopening now and then."""
    dice = random.Random(seed)
    model: dict[tuple[str, str], Json] = {}
    for _ in range(4):
        async with open_store() as store:
            for _ in range(40):
                await one_step(store, model, dice)
            await agree(store, model)
        async with open_store() as store:
            await agree(store, model)


async def one_step(store: Store, model: dict[tuple[str, str], Json], dice: random.Random) -> None:
    changes = [random_change(dice) for _ in range(dice.choice([1, 1, 1, 2, 5, 30]))]
    written = False
    with trio.CancelScope() as scope:
        if dice.random() < 0.2:
            scope.cancel()
        await store.write(changes)
        written = True
    if written:
        for change in changes:
            place = (change.collection, change.key)
            if isinstance(change, Put):
                model[place] = change.document
            else:
                model.pop(place, None)
    key = dice.choice(KEYS)
    assert await store.get("one", key) == model.get(("one", key))
    prefix, after, limit = dice.choice(["", "a", "a/"]), dice.choice([None, *KEYS]), dice.choice([None, 1, 3])
    expected = [
        (key, model[place, key])
        for place, key in sorted(model)
        if place == "two" and key.startswith(prefix) and (after is None or key > after)
    ]
    assert await store.read("two", prefix=prefix, after=after, limit=limit) == expected[:limit]


def random_change(dice: random.Random) -> Change:
    place = dice.choice(["one", "two"]), dice.choice(KEYS)
    return Delete(*place) if dice.random() < 0.4 else Put(*place, dice.choice(DOCUMENTS))


async def agree(store: Store, model: dict[tuple[str, str], Json]) -> None:
    for collection in ("one", "two"):
        expected = [(key, model[place, key]) for place, key in sorted(model) if place == collection]
        assert await store.read(collection) == expected


async def test_idle_store_has_no_task(store: Store) -> None:
    await store.write([Put("things", "a", 1)])
    await wait_all_tasks_blocked()
    names = {task.name for task in _tasks()}
    assert not [name for name in names if "commit" in name]


def _tasks() -> list[trio.lowlevel.Task]:
    root = trio.lowlevel.current_root_task()
    assert root is not None
    tasks = [root]
    for task in tasks:
        tasks += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return tasks
