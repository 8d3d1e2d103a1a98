"""
What stores make of their arguments: checked names and keys, and documents as JSON text.

The bounds are constants, not fields of `Limits`: nobody's input gets here unbounded. A message is bounded by
`message_bytes` and an identifier by its feature, long before something is stored; these bounds only keep a mistake of
ours from filling the disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from rtcore.errors import ErrorCode, RequestError, StoreError
from rtcore.protocol.json_codec import json_kept, json_loads
from rtcore.store.store import Change, Delete, Put
from rtcore.values.events import Json
from rtcore.values.shown import show

__all__ = ["DOCUMENT_BYTES", "KEY_BYTES", "WRITE_BYTES", "Record", "Span", "check_key", "decode", "encode"]

KEY_BYTES: Final = 1024
"""Longest key in UTF-8: several identifiers of a protocol, 255 characters at most, in one."""
DOCUMENT_BYTES: Final = 4 * 1024 * 1024
"""Largest document: a message of default size, 1 MiB, and room for what a feature keeps beside it."""
WRITE_BYTES: Final = 16 * 1024 * 1024
"""Largest write, and most that writes which share a commit may have together: others wait no longer than that takes."""
_CHANGE_BYTES: Final = 64
"""What a change counts beside its key and document, so that many small ones are not free."""
_DEPTH: Final = 1024
"""Deepest nesting that is read: as deep as the JSON library reads, and deeper than it writes (254)."""
_COLLECTION: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)


class Record(NamedTuple):
    """A change that was checked."""

    collection: str
    key: bytes
    document: bytes | None
    """JSON text; None: the key is deleted."""


class Span(NamedTuple):
    """The keys that a read is about: from `first` on, below `end`, in bytes."""

    collection: str
    first: bytes
    end: bytes
    limit: int | None

    @classmethod
    def of(cls, collection: str, prefix: str, after: str | None, limit: int | None) -> Span:
        """The span that the arguments of `Store.read` mean; a ValueError where they mean nothing."""
        _check_collection(collection)
        if limit is not None and (type(limit) is not int or limit < 1):
            raise ValueError(f"limit: expected a whole number of at least 1, got {show(limit)}")
        begin = _utf8("prefix", prefix)
        # No UTF-8 has a byte 0xff: all keys are below it, and the last byte of a prefix can be counted up.
        end = begin[:-1] + bytes([begin[-1] + 1]) if begin else b"\xff"
        # The least bytes behind a key are the key and a zero byte.
        return cls(collection, begin if after is None else max(begin, _utf8("after", after) + b"\0"), end, limit)


def encode(changes: Iterable[Change]) -> tuple[list[Record], int]:
    """
    Check changes and write their documents as JSON text.

    Returns:
        The records, and their size in bytes.

    Raises:
        RequestError: `limit.too_large` or `request.malformed`, for a document or the whole.
        ValueError: A name or a key cannot be one.
        TypeError: Something is not a change.
    """
    records = [_record(change) for change in changes]
    size = sum(len(record.key) + len(record.document or b"") + _CHANGE_BYTES for record in records)
    if size > WRITE_BYTES:
        raise RequestError(ErrorCode.TOO_LARGE, f"write of {size} bytes exceeds write_bytes={WRITE_BYTES}")
    return records, size


def decode(collection: str, key: bytes, document: bytes) -> tuple[str, Json]:
    """A key and its document as they were put; a StoreError where they have been damaged since."""
    try:
        return key.decode(), json_loads(document, _DEPTH)
    except (UnicodeDecodeError, RequestError) as error:
        place = f"{collection}/{key.decode(errors='backslashreplace')}"
        raise StoreError(f"the document at {show(place)} is damaged: {error}") from error


def check_key(collection: str, key: str) -> bytes:
    """A key in UTF-8, after a look at it and at the name of its collection; a ValueError where one cannot be one."""
    _check_collection(collection)
    encoded = _utf8("key", key)
    if not encoded:
        raise ValueError('key: expected text that is not empty, got ""')
    if len(encoded) > KEY_BYTES:
        raise ValueError(f"key of {len(encoded)} bytes exceeds key_bytes={KEY_BYTES}: {show(key)}")
    return encoded


def _record(change: Change) -> Record:
    if isinstance(change, Put):
        return Record(change.collection, check_key(change.collection, change.key), _encode_document(change.document))
    if isinstance(change, Delete):
        return Record(change.collection, check_key(change.collection, change.key), None)
    raise TypeError(f"expected Put or Delete, got {type(change).__name__}")


def _encode_document(document: Json) -> bytes:
    text = json_kept(document)
    if len(text) > DOCUMENT_BYTES:
        problem = f"document of {len(text)} bytes exceeds document_bytes={DOCUMENT_BYTES}"
        raise RequestError(ErrorCode.TOO_LARGE, problem)
    return text


def _check_collection(name: str) -> None:
    if not isinstance(name, str) or _COLLECTION.fullmatch(name) is None:
        expected = "1 to 64 characters of a-z, 0-9 and _, a letter first"
        raise ValueError(f"collection: expected {expected}, got {show(name)}")


def _utf8(field: str, text: str) -> bytes:
    if not isinstance(text, str):
        raise ValueError(f"{field}: expected text, got {show(text)}")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{field}: expected text that UTF-8 can carry, got {show(text)}") from error
