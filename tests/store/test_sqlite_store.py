"""What is the file's own: commits that are shared, cancellation, closing, modes, locks, backups."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from rtcore.errors import StoreError
from rtcore.store.records import DOCUMENT_BYTES, WRITE_BYTES
from rtcore.store.sqlite_store import SqliteStore, open_sqlite_store
from rtcore.store.store import Put


class Gate:
    """Holds the next commit up in its thread until it is opened, and lets a test wait until it is there."""

    def __init__(self, store: SqliteStore) -> None:
        self.reached = trio.Event()
        self._open = threading.Event()
        self._token = trio.lowlevel.current_trio_token()
        self._commit = store._file.commit
        store._file.commit = self.commit  # type: ignore[method-assign]  # there is no other way to slow a disk down

    def commit(self, writes: object) -> None:
        self._token.run_sync_soon(self.reached.set)
        assert self._open.wait(60)
        self._commit(writes)

    def open(self) -> None:
        self._open.set()


def modes_beside(path: Path) -> dict[str, int]:
    """Name and mode of every file in the directory."""
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}


async def test_writes_during_a_commit_share_the_next_one(path: Path) -> None:
    async with open_sqlite_store(path) as store:
        gate = Gate(store)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.write, [Put("things", "first", 1)])
            await gate.reached.wait()
            for number in range(100):
                nursery.start_soon(store.write, [Put("things", f"{number:03}", number)])
            await wait_all_tasks_blocked()
            gate.open()
        assert (store.statistics().writes, store.statistics().commits) == (101, 2)
        assert len(await store.read("things")) == 101


async def test_commit_takes_no_more_than_its_bound(path: Path) -> None:
    """Whoever wrote first should not wait until everybody's megabytes are on the disk."""
    text = "d" * (DOCUMENT_BYTES - 1000)
    async with open_sqlite_store(path, synchronous="normal") as store:
        gate = Gate(store)
        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(store.write, [Put("things", str(number), text)])
            await gate.reached.wait()
            gate.open()
        each_commit = WRITE_BYTES // DOCUMENT_BYTES
        assert store.statistics().commits >= 6 / each_commit
        assert store.statistics().writes == 6
        assert len(await store.read("things")) == 6


async def test_writer_cancelled_while_it_waits_takes_its_write_back(path: Path) -> None:
    """And only its own: those before and behind it are carried out."""
    async with open_sqlite_store(path) as store:
        gate = Gate(store)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.write, [Put("things", "first", 1)])
            await gate.reached.wait()
            nursery.start_soon(store.write, [Put("things", "second", 2)])
            await wait_all_tasks_blocked()
            with trio.move_on_after(0) as scope:
                await store.write([Put("things", "cancelled", 3)])
            nursery.start_soon(store.write, [Put("things", "third", 4)])
            await wait_all_tasks_blocked()
            gate.open()
        assert scope.cancelled_caught
        assert [key for key, _ in await store.read("things")] == ["first", "second", "third"]


async def test_writer_cancelled_during_its_commit_learns_that_it_was_written(path: Path) -> None:
    """What a caller does behind a write is done exactly if the change is kept: no cancellation comes between."""
    done: list[str] = []

    async def write_and_apply(scope: trio.CancelScope) -> None:
        with scope:
            await store.write([Put("things", "a", 1)])
            done.append("applied")
            await trio.lowlevel.checkpoint()
            done.append("too late")

    async with open_sqlite_store(path) as store:
        gate, scope = Gate(store), trio.CancelScope()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write_and_apply, scope)
            await gate.reached.wait()
            scope.cancel()
            await wait_all_tasks_blocked()
            assert done == []
            gate.open()
        assert done == ["applied"]
        assert scope.cancelled_caught
        assert await store.get("things", "a") == 1


async def test_leaving_the_block_carries_out_what_was_called(path: Path) -> None:
    async with trio.open_nursery() as nursery, open_sqlite_store(path) as store:
        gate = Gate(store)
        nursery.start_soon(store.write, [Put("things", "first", 1)])
        await gate.reached.wait()
        for number in range(10):
            nursery.start_soon(store.write, [Put("things", str(number), number)])
        nursery.start_soon(store.read, "things")
        await wait_all_tasks_blocked()
        gate.open()
    async with open_sqlite_store(path) as store:
        assert len(await store.read("things")) == 11


async def test_block_that_is_cancelled_finishes_its_commit_and_closes(path: Path) -> None:
    with trio.CancelScope() as scope:
        async with open_sqlite_store(path) as store:
            gate = Gate(store)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.write, [Put("things", "running", 1)])
                await gate.reached.wait()
                nursery.start_soon(store.write, [Put("things", "waiting", 2)])
                await wait_all_tasks_blocked()
                scope.cancel()
                gate.open()
    assert scope.cancelled_caught
    async with open_sqlite_store(path) as store:
        assert await store.read("things") == [("running", 1)]


async def test_block_that_fails_keeps_what_others_wrote(path: Path) -> None:
    """The writers are no children of the block, so they are not cancelled with it; nor do they wait for ever."""
    mistake = KeyError("the block's own")

    async def fail(nursery: trio.Nursery) -> None:
        async with open_sqlite_store(path) as store:
            gate = Gate(store)
            nursery.start_soon(store.write, [Put("things", "running", 1)])
            await gate.reached.wait()
            nursery.start_soon(store.write, [Put("things", "waiting", 2)])
            await wait_all_tasks_blocked()
            gate.open()
            raise mistake

    async with trio.open_nursery() as nursery:
        with pytest.raises(KeyError) as caught:
            await fail(nursery)
    assert caught.value is mistake
    async with open_sqlite_store(path) as store:
        assert await store.read("things") == [("running", 1), ("waiting", 2)]


async def test_closed_store_says_so(path: Path) -> None:
    async with open_sqlite_store(path) as store:
        pass
    message = f"^{path}: the store is closed$"
    with pytest.raises(StoreError, match=message):
        await store.write([Put("things", "a", 1)])
    with pytest.raises(StoreError, match=message):
        await store.read("things")
    with pytest.raises(StoreError, match=message):
        await store.get("things", "a")


async def test_nothing_is_left_open(path: Path) -> None:
    process = psutil.Process()
    async with open_sqlite_store(path) as store:  # threads of Trio's that stay for the next call are there now
        await store.write([Put("things", "a", 1)])
    before = process.num_fds(), process.num_threads()
    for _ in range(5):
        async with open_sqlite_store(path) as store:
            await store.write([Put("things", "a", 1)])
    assert (process.num_fds(), process.num_threads()) == before
    assert modes_beside(path).keys() == {"rtcore.db", "rtcore.db.lock"}


async def test_files_are_their_owners_alone(path: Path) -> None:
    """Inboxes and approvals are nobody else's business; the log holds them too."""
    before = os.umask(0)
    try:
        async with open_sqlite_store(path) as store:
            await store.write([Put("things", "a", 1)])
            modes = modes_beside(path)
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["rtcore.db", "rtcore.db-wal", "rtcore.db-shm", "rtcore.db.lock"], 0o600)


async def test_mode_that_somebody_chose_stays(path: Path) -> None:
    """Such as one that lets the group of a backup program read."""
    async with open_sqlite_store(path):
        pass
    await trio.Path(path).chmod(0o640)
    async with open_sqlite_store(path) as store:
        await store.write([Put("things", "a", 1)])
    assert modes_beside(path)["rtcore.db"] == 0o640


async def test_second_block_on_the_same_file_is_refused(path: Path) -> None:
    """Also under another name of the file; and the first one is not disturbed."""
    link = path.with_name("link.db")
    link.symlink_to(path)
    async with open_sqlite_store(path) as store:
        for name in (path, link):
            with pytest.raises(StoreError) as caught:
                async with open_sqlite_store(name):
                    pytest.fail("it was opened")
            assert str(caught.value) == f"{path}: the store is in use: somebody else holds {path}.lock"
        await store.write([Put("things", "a", 1)])
    async with open_sqlite_store(link) as store:
        assert await store.get("things", "a") == 1


async def test_second_process_on_the_same_file_is_refused(path: Path) -> None:
    program = (
        "import sys, trio\n"
        "from rtcore.errors import StoreError\n"
        "from rtcore.store.sqlite_store import open_sqlite_store\n"
        "async def main():\n"
        "    async with open_sqlite_store(sys.argv[1]):\n"
        "        print('opened')\n"
        "try:\n"
        "    trio.run(main)\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    async with open_sqlite_store(path):
        refused = await trio.run_process(command, capture_stdout=True)
    allowed = await trio.run_process(command, capture_stdout=True)
    assert refused.stdout.decode() == f"{path}: the store is in use: somebody else holds {path}.lock\n"
    assert allowed.stdout == b"opened\n"


async def test_child_process_does_not_inherit_the_lock(path: Path) -> None:
    """A command that runs longer than the server must not keep the next server out."""
    async with open_sqlite_store(path):
        child = await trio.lowlevel.open_process(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False, stderr=subprocess.DEVNULL
        )
    try:
        async with open_sqlite_store(path):
            pass
    finally:
        assert child.stdin is not None
        await child.stdin.aclose()
        await child.wait()


@pytest.mark.parametrize(("synchronous", "level"), [("full", 2), ("normal", 1)])
async def test_settings_of_the_file_are_what_was_asked_for(path: Path, synchronous: str, level: int) -> None:
    async with open_sqlite_store(path, synchronous=synchronous) as store:
        connection = store._file.connection

        def pragma(name: str) -> object:
            return connection.execute(f"PRAGMA {name}").fetchone()[0]

        assert (pragma("journal_mode"), pragma("synchronous")) == ("wal", level)
        assert pragma("fullfsync") == (synchronous == "full")


async def test_other_word_for_synchronous_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match=r"^synchronous: expected \"full\" or \"normal\", got 'off'$"):
        async with open_sqlite_store(path, synchronous="off"):
            pytest.fail("it was opened")
    assert modes_beside(path) == {}


async def test_backup_may_be_made_while_the_store_is_open(path: Path) -> None:
    """By another program, with SQLite's own means; and the copy is a store."""
    copy = path.with_name("copy.db")
    async with open_sqlite_store(path) as store:
        await store.write([Put("things", "a", 1)])
        other = sqlite3.connect(path)
        other.execute("VACUUM INTO ?", (str(copy),))
        other.close()
        await store.write([Put("things", "b", 2)])
    async with open_sqlite_store(copy) as store:
        assert await store.read("things") == [("a", 1)]
    async with open_sqlite_store(path) as store:
        assert await store.read("things") == [("a", 1), ("b", 2)]


async def test_document_that_was_mended_by_hand_is_read(path: Path) -> None:
    """In SQLite's shell, quoted JSON is text, not bytes."""
    async with open_sqlite_store(path) as store:
        await store.write([Put("things", "a", 1)])
    shell = sqlite3.connect(path)
    shell.execute("""UPDATE documents SET document = '{"n": 2}' WHERE key = CAST('a' AS BLOB)""")
    shell.commit()
    shell.close()
    async with open_sqlite_store(path) as store:
        assert await store.get("things", "a") == {"n": 2}
        assert await store.read("things") == [("a", {"n": 2})]
