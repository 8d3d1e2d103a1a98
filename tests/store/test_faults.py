"""What goes wrong with a file: it is told in words, harms nobody else, and is over when its cause is."""

from __future__ import annotations

import re
import resource
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from rtcore.errors import StoreError
from rtcore.store.sqlite_store import SqliteStore, open_sqlite_store
from rtcore.store.store import Delete, Put

LARGE = "x" * 100_000
Fault = Callable[[SqliteStore], object]


@contextmanager
def full_file(store: SqliteStore) -> Iterator[None]:
    """SQLite may take no further page."""
    connection = store._file.connection
    count = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={count}")
    try:
        yield
    finally:
        connection.execute("PRAGMA max_page_count=1000000")


@contextmanager
def full_disk(store: SqliteStore) -> Iterator[None]:
    """The system refuses to make any file of this process longer; noticed when the log is written, at COMMIT."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{store._file.path}-wal").stat().st_size + 5000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@contextmanager
def read_only(store: SqliteStore) -> Iterator[None]:
    """As a file on a read-only file system; modes would not stop root, who may run these tests."""
    store._file.connection.execute("PRAGMA query_only=ON")
    try:
        yield
    finally:
        store._file.connection.execute("PRAGMA query_only=OFF")


@contextmanager
def held_by_another(store: SqliteStore) -> Iterator[None]:
    """Another program is in the middle of a transaction of its own."""
    store._file.connection.execute("PRAGMA busy_timeout=1")
    other = sqlite3.connect(store._file.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


@contextmanager
def bad_statement(store: SqliteStore) -> Iterator[None]:
    """The last change of a write fails by itself: SQLite takes back only that one, and the transaction stays open."""
    connection = store._file.connection
    connection.execute(
        "CREATE TEMP TRIGGER refuse BEFORE INSERT ON documents WHEN NEW.key = CAST('b' AS BLOB)"
        " BEGIN SELECT RAISE(ABORT, 'not this one'); END"
    )
    try:
        yield
    finally:
        connection.execute("DROP TRIGGER refuse")


FAULTS = [
    pytest.param(bad_statement, "not this one (SQLITE_CONSTRAINT_TRIGGER)", id="bad statement"),
    pytest.param(full_file, "database or disk is full (SQLITE_FULL)", id="full file"),
    pytest.param(
        full_disk, "disk I/O error (SQLITE_IOERR_WRITE)|database or disk is full (SQLITE_FULL)", id="full disk"
    ),
    pytest.param(read_only, "attempt to write a readonly database (SQLITE_READONLY)", id="read-only"),
    pytest.param(held_by_another, "database is locked (SQLITE_BUSY)", id="held by another program"),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS)
async def test_store_goes_on_after_a_failed_commit(path: Path, fault: Fault, words: str) -> None:
    """All or nothing, then as before; and what is said names the file and the cause."""
    async with open_sqlite_store(path) as store:
        await store.write([Put("things", "before", 1)])
        with fault(store):
            with pytest.raises(StoreError) as caught:
                await store.write([Put("things", "a", 1), Delete("things", "before"), Put("things", "b", LARGE)])
            assert await store.read("things") == [("before", 1)]
        assert str(caught.value) in {f"{path}: cannot write: {word}" for word in words.split("|")}
        assert isinstance(caught.value.__cause__, sqlite3.Error)
        statistics = store.statistics()
        assert (statistics.writes, statistics.failures) == (1, 1)
        assert statistics.latest_failure == str(caught.value)
        await store.write([Put("things", "after", LARGE)])
        assert [key for key, _ in await store.read("things")] == ["after", "before"]
    async with open_sqlite_store(path) as store:
        assert [key for key, _ in await store.read("things")] == ["after", "before"]


async def test_each_writer_of_a_failed_commit_is_told(path: Path) -> None:
    """Each by an error of its own: one that is raised in several tasks would collect all their tracebacks."""
    errors: list[StoreError] = []

    async def write(key: str) -> None:
        with pytest.raises(StoreError) as caught:
            await store.write([Put("things", key, LARGE)])
        errors.append(caught.value)

    async with open_sqlite_store(path) as store:
        with full_file(store):
            async with trio.open_nursery() as nursery:
                for key in "abc":
                    nursery.start_soon(write, key)
        assert len({id(error) for error in errors}) == 3
        assert store.statistics().failures == 3
        assert await store.read("things") == []


async def test_whatever_ends_a_commit_is_told_to_whoever_waits(path: Path) -> None:
    """Not only what SQLite knows of: nobody may wait for ever, as when the system has no thread left."""

    def no_memory(writes: object) -> None:
        raise MemoryError("no memory")

    async with open_sqlite_store(path) as store:
        commit, store._file.commit = store._file.commit, no_memory  # type: ignore[method-assign]
        with pytest.raises(StoreError, match=f"^{path}: cannot write: no memory$"):
            await store.write([Put("things", "a", 1)])
        store._file.commit = commit  # type: ignore[method-assign]
        await store.write([Put("things", "b", 1)])
        assert await store.read("things") == [("b", 1)]


def refusal(path: Path) -> str:
    """What opening a file is answered with."""
    with pytest.raises(StoreError) as caught:
        trio.run(put, path, "a")
    return str(caught.value)


async def put(path: Path, *keys: str) -> None:
    """Open a store, write, and close it; possible as soon as what a test did to the file is undone."""
    async with open_sqlite_store(path) as store:
        await store.write([Put("things", key, "x" * 500) for key in keys])
        assert [key for key, _ in await store.read("things")] == [*keys]


def test_directory_in_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()
    assert refusal(path) == f"{path}: expected a file, found a directory"
    assert [file.name for file in path.parent.iterdir()] == ["rtcore.db"]


def test_missing_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "rtcore.db"
    expected = f"{path}: cannot open the store: [Errno 2] No such file or directory: '{path}.lock'"
    assert refusal(path) == expected


def test_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"[server]\nport = 8080\n" * 100)
    assert refusal(path) == f"{path}: cannot open the store: file is not a database (SQLITE_NOTADB)"
    assert path.read_bytes() == b"[server]\nport = 8080\n" * 100


def test_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    """Whoever names the wrong file in the settings should not find tables of ours in it."""
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE people (name TEXT)")
    other.commit()
    other.close()
    before = path.read_bytes()
    assert refusal(path) == f"{path}: not a store of rtcore: expected application_id 1920230193, got 0"
    assert path.read_bytes() == before


def test_store_of_a_newer_rtcore_is_refused_and_left_alone(path: Path) -> None:
    trio.run(put, path, "a")
    set_version(path, 2)
    before = path.read_bytes()
    assert refusal(path) == f"{path}: the store has schema version 2; this rtcore reads version 1"
    assert path.read_bytes() == before
    set_version(path, 1)
    trio.run(put, path, "a")


def set_version(path: Path, version: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version={version}")
    connection.close()


def test_empty_file_becomes_a_store(path: Path) -> None:
    """As one is left that was killed between making the file and filling it."""
    path.touch()
    trio.run(put, path, "a")


def damage(path: Path) -> None:
    """Leave only the first page, which has the header and the schema."""
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))


async def test_damaged_file_is_told_and_does_not_end_the_block(path: Path) -> None:
    await put(path, *(f"{number:04}" for number in range(500)))
    damage(path)
    async with open_sqlite_store(path) as store:
        for call in (store.read("things"), store.get("things", "0001"), store.write([Put("things", "a", 1)])):
            with pytest.raises(StoreError, match=re.escape(f"{path}: cannot ") + ".*malformed.*SQLITE_CORRUPT"):
                await call
        assert store.statistics().failures == 3


@pytest.mark.parametrize(("document", "problem"), [(b"{", "not JSON: "), (b"\xff", "not JSON: ")])
async def test_damaged_document_is_told_and_others_are_read(path: Path, document: bytes, problem: str) -> None:
    async with open_sqlite_store(path) as store:
        await store.write([Put("things", "a", 1), Put("things", "b", 2)])
        store._file.connection.execute("UPDATE documents SET document = ? WHERE key = ?", (document, b"a"))
        for call in (store.read("things"), store.get("things", "a")):
            with pytest.raises(StoreError, match=f'^the document at "things/a" is damaged: {problem}'):
                await call
        assert store.statistics().failures == 2
        assert await store.get("things", "b") == 2


def test_file_system_without_a_write_ahead_log_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite then stays with another journal, and says so only in its answer."""
    import rtcore.store.sqlite_file as module

    ask = module._pragma
    monkeypatch.setattr(module, "_pragma", lambda file, name: "delete" if "journal_mode" in name else ask(file, name))
    expected = f"{path}: expected journal_mode wal, got delete: the file system shares no memory"
    assert refusal(path) == expected


def test_file_system_without_locks_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("rtcore.store.file_lock._lock", no_locks)
    assert refusal(path) == f"{path}: cannot open the store: [Errno 37] No locks available"
    monkeypatch.undo()
    trio.run(put, path, "a")
