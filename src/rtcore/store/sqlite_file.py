"""
The SQLite file behind a store: opened, checked, read and written, without a task or a thread of its own.

Whoever holds it calls from one thread at a time; every method may block for as long as a disk takes.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Final, Literal

from rtcore.errors import StoreError
from rtcore.store.file_lock import lock_file
from rtcore.store.records import Record, Span, decode
from rtcore.values.events import Json

__all__ = ["SqliteFile", "Synchronous", "store_error"]

Synchronous = Literal["full", "normal"]
"""When a commit has reached the disk: before it returns, or at the next checkpoint of the file."""

APPLICATION_ID: Final = 0x72746331
"""`rtc1`, in the header of a file that is ours. Source: https://sqlite.org/pragma.html#pragma_application_id"""
SCHEMA_VERSION: Final = 1
"""What `user_version` says in a file that this code can read."""
_BUSY_SECONDS: Final = 5.0
"""How long another program, such as one that was called to mend something, may hold its lock on the file."""
_WAL_BYTES: Final = 64 * 1024 * 1024
"""What is left of the write-ahead log when a reader that held it up has gone."""

# One tree, in the order of the keys: a read is one walk, and a put touches no index beside it. Keys are bytes, so that
# their order is that of UTF-8 and a zero character is one like all others.
_SCHEMA: Final = """
CREATE TABLE documents (
    collection TEXT NOT NULL, key BLOB NOT NULL, document BLOB NOT NULL, PRIMARY KEY (collection, key)
) WITHOUT ROWID
"""
_PUT: Final = "INSERT OR REPLACE INTO documents (collection, key, document) VALUES (?, ?, ?)"
_DELETE: Final = "DELETE FROM documents WHERE collection = ? AND key = ?"
# What was mended by hand is text; it is read all the same.
_GET: Final = "SELECT CAST(document AS BLOB) FROM documents WHERE collection = ? AND key = ?"
_READ: Final = """
SELECT key, CAST(document AS BLOB) FROM documents
WHERE collection = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?
"""


def store_error(path: str, action: str, error: Exception) -> StoreError:
    """What a failure of SQLite or of the system is to whoever uses a store."""
    code = f" ({error.sqlite_errorname})" if isinstance(error, sqlite3.Error) and _has_name(error) else ""
    return StoreError(f"{path}: cannot {action}: {error}{code}")


def _has_name(error: sqlite3.Error) -> bool:
    # The attribute is missing where the module itself, not the library, raises.
    return hasattr(error, "sqlite_errorname")


class SqliteFile:
    """An open file that is ours; no other process has it open through this class."""

    def __init__(self, path: str, connection: sqlite3.Connection, resources: ExitStack) -> None:
        self.path = path
        self.connection = connection
        self._resources = resources

    @classmethod
    def open(cls, path: str, synchronous: Synchronous) -> SqliteFile:
        """
        Open a file, or make it with mode 0600.

        Raises:
            StoreError: It is in use, not ours, newer than this code, or cannot be opened.
        """
        path = os.path.realpath(path)  # one lock for one file, also behind a link
        with ExitStack() as resources:
            try:
                _take(path, resources)
                connection = _connect(path, synchronous, resources)
            except (sqlite3.Error, OSError) as error:
                raise store_error(path, "open the store", error) from error
            return cls(path, connection, resources.pop_all())

    def read(self, span: Span) -> list[tuple[str, Json]]:
        """Keys and documents of a span, in order."""
        limit = -1 if span.limit is None else span.limit  # for SQLite, a negative limit is none
        rows = self.connection.execute(_READ, (span.collection, span.first, span.end, limit)).fetchall()
        return [decode(span.collection, key, document) for key, document in rows]

    def get(self, collection: str, key: bytes) -> Json | None:
        """The document under a key, or None."""
        row = self.connection.execute(_GET, (collection, key)).fetchone()
        return None if row is None else decode(collection, key, row[0])[1]

    def commit(self, writes: Iterable[Sequence[Record]]) -> None:
        """Carry out writes, in their order and all together; what fails leaves nothing behind."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            for records in writes:
                for record in records:
                    self._apply(record)
            self.connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def close(self) -> None:
        """Close the file and release its lock; SQLite moves its log into the file first."""
        self._resources.close()

    def _apply(self, record: Record) -> None:
        if record.document is None:
            self.connection.execute(_DELETE, (record.collection, record.key))
        else:
            self.connection.execute(_PUT, record)

    def _roll_back(self) -> None:
        # After some failures SQLite has rolled back by itself. If rolling back fails too, the first failure is the one
        # to tell, and the next commit, which cannot begin, tries again here.
        if self.connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")


def _take(path: str, resources: ExitStack) -> None:
    """Lock the file's name, and make the file where it is missing."""
    if os.path.isdir(path):
        raise StoreError(f"{path}: expected a file, found a directory")
    # A lock of its own: with SQLite's exclusive mode nobody could make a backup, and closing a second descriptor of the
    # file itself would take SQLite's own locks away (https://sqlite.org/howtocorrupt.html, section 2.2).
    try:
        resources.callback(os.close, lock_file(f"{path}.lock"))
    except BlockingIOError as error:
        raise StoreError(f"{path}: the store is in use: somebody else holds {path}.lock") from error
    # SQLite gives its log and its index the mode of the file, and the file itself whatever the umask leaves.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _connect(path: str, synchronous: Synchronous, resources: ExitStack) -> sqlite3.Connection:
    # The worker threads take turns, so the connection may not insist on the one that made it.
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    resources.callback(connection.close)
    is_new = _check_owner(path, connection)  # before anything is changed in what may be another program's file
    mode = _pragma(connection, "journal_mode=WAL")
    if mode != "wal":
        raise StoreError(f"{path}: expected journal_mode wal, got {mode}: the file system shares no memory")
    connection.execute(f"PRAGMA synchronous={synchronous.upper()}")
    if synchronous == "full":
        connection.execute("PRAGMA fullfsync=ON")  # on macOS fsync leaves bytes in the drive's cache; elsewhere nothing
    connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
    if is_new:
        _make_schema(connection)
    return connection


def _check_owner(path: str, connection: sqlite3.Connection) -> bool:
    """Whether the file is empty; a StoreError where it is not ours, or newer than this code."""
    application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application == 0 and version == 0 and tables == 0:
        return True
    if application != APPLICATION_ID:
        raise StoreError(f"{path}: not a store of rtcore: expected application_id {APPLICATION_ID}, got {application}")
    if version != SCHEMA_VERSION:
        raise StoreError(f"{path}: the store has schema version {version}; this rtcore reads version {SCHEMA_VERSION}")
    return False


def _make_schema(connection: sqlite3.Connection) -> None:
    """All of it in one transaction: a file is empty or whole, wherever its making was interrupted."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_SCHEMA)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _pragma(connection: sqlite3.Connection, pragma: str) -> object:
    return connection.execute(f"PRAGMA {pragma}").fetchone()[0]
