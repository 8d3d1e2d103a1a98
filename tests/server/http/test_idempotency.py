"""Requests that may be sent twice and are carried out once."""

from __future__ import annotations

import pytest

from rtcore.errors import ErrorCode, RequestError
from rtcore.server.idempotency import KEY_LENGTH, IdempotencyKey, IdempotencyStore, StoredReply, fingerprint

REPLY = StoredReply(status=200, body=b"x" * 600)
ONE, OTHER = fingerprint("/a", b"1"), fingerprint("/a", b"2")


class Clock:
    """Seconds, turned by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def store(clock: Clock | None = None, **bounds: int) -> IdempotencyStore:
    options = {"maximum_keys": 10, "maximum_bytes": 1_000_000, "seconds": 60} | bounds
    return IdempotencyStore(**options, clock=clock or Clock())  # type: ignore[arg-type]


def key(text: str, owner: str = "user:a") -> IdempotencyKey:
    return IdempotencyKey.read(owner, text)


def test_the_same_request_gets_the_same_reply() -> None:
    kept = store()
    assert kept.find(key("k"), ONE) is None
    kept.keep(key("k"), ONE, REPLY)
    assert kept.find(key("k"), ONE) == REPLY
    assert kept.statistics().replayed == 1


def test_the_same_key_with_another_request_is_refused() -> None:
    kept = store()
    kept.keep(key("k"), ONE, REPLY)
    with pytest.raises(RequestError) as caught:
        kept.find(key("k"), OTHER)
    assert (caught.value.code, caught.value.field) == (ErrorCode.CONFLICT, "Idempotency-Key")
    assert kept.statistics().conflicts == 1


def test_another_path_is_another_request() -> None:
    assert fingerprint("/a", b"1") != fingerprint("/b", b"1")


def test_a_key_belongs_to_its_owner() -> None:
    """Nobody may ask for, or collide with, the replies of somebody else."""
    kept = store()
    kept.keep(key("k", "user:a"), ONE, REPLY)
    assert kept.find(key("k", "user:b"), OTHER) is None


def test_replies_are_forgotten_with_age() -> None:
    clock = Clock()
    kept = store(clock)
    kept.keep(key("k"), ONE, REPLY)
    clock.now = 59.9
    assert kept.find(key("k"), ONE) is not None
    clock.now = 60.0
    assert kept.find(key("k"), ONE) is None
    assert (kept.statistics().keys, kept.statistics().bytes) == (0, 0)


def test_the_oldest_goes_when_there_are_too_many() -> None:
    kept = store(maximum_keys=2)
    for name in "abc":
        kept.keep(key(name), ONE, REPLY)
    assert kept.find(key("a"), ONE) is None
    assert kept.find(key("b"), ONE) is not None


def test_memory_is_bounded_in_bytes_too() -> None:
    """A thousand replies to full batches would be a hundred megabytes."""
    kept = store(maximum_bytes=3_500)
    for number in range(10):
        kept.keep(key(str(number)), ONE, REPLY)
    assert kept.statistics().keys == 3
    assert kept.statistics().bytes <= 3_500


@pytest.mark.parametrize("text", ["", "with space", "ä", "a\nb", "x" * (KEY_LENGTH + 1)])
def test_a_key_is_visible_ascii_of_bounded_length(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        key(text)
    assert caught.value.code is ErrorCode.MALFORMED
