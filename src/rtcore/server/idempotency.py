"""
Requests that may be sent twice and are carried out once.

A client that lost the connection before the reply came cannot know whether its request was carried out. With an
`Idempotency-Key` it sends the same request again and gets the reply of the first time.

A key belongs to whoever used it: nobody can ask for, or collide with, the replies of another identity. A key that comes
with another body is a mistake in the client and is refused. Rejected: comparing parsed bodies, so that a client may
reorder fields. A retry sends what it sent before; anything else deserves the error.

Source: draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from attrs import frozen

from rtcore.errors import ErrorCode, RequestError

__all__ = ["KEY_LENGTH", "IdempotencyKey", "IdempotencyStatistics", "IdempotencyStore", "StoredReply", "fingerprint"]

KEY_LENGTH: Final = 255
"""Longest key, in characters; a UUID has 36."""

_ENTRY_BYTES: Final = 400
"""An estimate of what an entry takes beside its reply: its objects, a digest, a place in the dictionary."""


@frozen
class IdempotencyKey:
    """A key and whose it is."""

    owner: str
    """Identity or, for the anonymous, address."""
    key: str
    """1 to `KEY_LENGTH` visible ASCII characters, of the client's choice."""

    @classmethod
    def read(cls, owner: str, text: str) -> IdempotencyKey:
        """
        Check a header's value.

        Raises:
            RequestError: If it is empty, too long or not visible ASCII.
        """
        if not 0 < len(text) <= KEY_LENGTH or not all("!" <= letter <= "~" for letter in text):
            expected = f"1 to {KEY_LENGTH} visible ASCII characters"
            got = f"{len(text)} characters"  # no more, since it is a key
            problem = f"Idempotency-Key must have {expected}, got {got}"
            raise RequestError(ErrorCode.MALFORMED, problem, field="Idempotency-Key")
        return cls(owner, text)


@frozen(kw_only=True)
class StoredReply:
    """A reply as it was sent."""

    status: int
    body: bytes


@frozen
class _Entry:
    fingerprint: bytes
    reply: StoredReply
    expires_at: float


@frozen(kw_only=True)
class IdempotencyStatistics:
    """A snapshot of the store."""

    keys: int
    """Keys remembered."""
    bytes: int
    """Bytes of the replies remembered with them."""
    replayed: int
    """Requests answered with the reply of an earlier one."""
    conflicts: int
    """Requests refused because their key was used with another body."""


def fingerprint(path: str, body: bytes) -> bytes:
    """What must be the same for two requests to be the same: 32 bytes."""
    return sha256(path.encode() + b"\0" + body).digest()


class IdempotencyStore:
    """
    The replies to requests that had a key, oldest forgotten first.

    Args:
        maximum_keys: Most replies remembered.
        maximum_bytes: Most memory for them, in bytes.
        seconds: How long a reply is remembered.
        clock: Any steady clock, in seconds.
    """

    def __init__(
        self, *, maximum_keys: int, maximum_bytes: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._maximum_keys = maximum_keys
        self._maximum_bytes = maximum_bytes
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[IdempotencyKey, _Entry] = OrderedDict()
        self._bytes = 0
        self._replayed = 0
        self._conflicts = 0

    def find(self, key: IdempotencyKey, fingerprint: bytes) -> StoredReply | None:
        """
        The reply that this request got before; None if it is new.

        Raises:
            RequestError: `request.conflict` if the key came with another request before.
        """
        self._forget_old()
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.fingerprint != fingerprint:
            self._conflicts += 1
            raise RequestError(
                ErrorCode.CONFLICT, "this Idempotency-Key came with another request before", field="Idempotency-Key"
            )
        self._replayed += 1
        return entry.reply

    def keep(self, key: IdempotencyKey, fingerprint: bytes, reply: StoredReply) -> None:
        """Remember a reply, forgetting the oldest where there is no room."""
        self._forget(key)
        self._entries[key] = _Entry(fingerprint, reply, self._clock() + self._seconds)
        self._bytes += _size(reply)
        while len(self._entries) > self._maximum_keys or (self._bytes > self._maximum_bytes and len(self._entries) > 1):
            self._forget(next(iter(self._entries)))

    def statistics(self) -> IdempotencyStatistics:
        """A snapshot."""
        self._forget_old()
        return IdempotencyStatistics(
            keys=len(self._entries), bytes=self._bytes, replayed=self._replayed, conflicts=self._conflicts
        )

    def _forget_old(self) -> None:
        # All entries live equally long, so the oldest are the first to go.
        now = self._clock()
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if entry.expires_at > now:
                return
            self._forget(key)

    def _forget(self, key: IdempotencyKey) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= _size(entry.reply)


def _size(reply: StoredReply) -> int:
    return len(reply.body) + _ENTRY_BYTES
