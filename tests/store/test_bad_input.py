"""What no store takes: refused alone and whole, in words that name the value and the bound."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from rtcore.errors import ErrorCode, RequestError
from rtcore.store.records import DOCUMENT_BYTES, KEY_BYTES, WRITE_BYTES
from rtcore.store.store import Change, Delete, Put, Store

BAD_COLLECTION = "collection: expected 1 to 64 characters of a-z, 0-9 and _, a letter first, got "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Put("", "a", 1), f'{BAD_COLLECTION}""'),
        (Put("Things", "a", 1), f'{BAD_COLLECTION}"Things"'),
        (Put("1things", "a", 1), f'{BAD_COLLECTION}"1things"'),
        (Put("things\n", "a", 1), f'{BAD_COLLECTION}"things\\n"'),
        (Put("things; DROP", "a", 1), f'{BAD_COLLECTION}"things; DROP"'),
        (Delete("dïngs", "a"), f'{BAD_COLLECTION}"dïngs"'),
        (Put("a" * 65, "a", 1), f'{BAD_COLLECTION}"{"a" * 60}"... (65 characters)'),
        (Put(None, "a", 1), f"{BAD_COLLECTION}null"),
        (Put("things", "", 1), 'key: expected text that is not empty, got ""'),
        (Put("things", 5, 1), "key: expected text, got 5"),
        (Delete("things", b"a"), "key: expected text, got bytes"),
        (Put("things", "a\ud800", 1), 'key: expected text that UTF-8 can carry, got "a\\ud800"'),
        (Delete("things", "a" * 1025), f'key of 1025 bytes exceeds key_bytes=1024: "{"a" * 60}"... (1025 characters)'),
        (Put("things", "é" * 513, 1), f'key of 1026 bytes exceeds key_bytes=1024: "{"é" * 60}"... (513 characters)'),
    ],
)
async def test_change_that_cannot_be_one_is_refused(store: Store, change: Change, message: str) -> None:
    """These are mistakes of the program, so they are a `ValueError`; no part of the write is carried out."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared in full below
        await store.write([Put("things", "good", 1), change])
    assert str(caught.value) == message
    assert await store.read("things") == []
    assert store.statistics().failures == 0


async def test_what_is_no_change_is_refused(store: Store) -> None:
    with pytest.raises(TypeError, match=r"^expected Put or Delete, got tuple$"):
        await store.write([("things", "a", 1)])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({1: 2}, "not representable in JSON: Dict key must be str"),
        ({"a": {1, 2}}, "not representable in JSON: Type is not JSON serializable: set"),
        ({"a": [float("nan")]}, "not representable in JSON: NaN or Infinity at $.a[0]"),
        ("\ud800", "not representable in JSON: str is not valid UTF-8: surrogates not allowed"),
        (2**64, "not representable in JSON: Integer exceeds 64-bit range"),
    ],
)
async def test_document_that_json_cannot_carry_is_refused(store: Store, document: Any, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        await store.write([Put("things", "good", 1), Put("things", "a", document)])
    assert (caught.value.code, caught.value.message) == (ErrorCode.MALFORMED, message)
    assert await store.read("things") == []


async def test_key_and_document_of_the_largest_size_are_kept(store: Store) -> None:
    key, document = "k" * KEY_BYTES, "d" * (DOCUMENT_BYTES - 2)
    await store.write([Put("things", key, document)])
    assert await store.get("things", key) == document


async def test_document_above_the_bound_is_refused_by_itself(store: Store) -> None:
    """Others that write at the same time are not harmed."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.write, [Put("things", "good", 1)])
        with pytest.raises(RequestError) as caught:
            await store.write([Put("things", "a", "d" * (DOCUMENT_BYTES - 1))])
    assert caught.value.code is ErrorCode.TOO_LARGE
    assert caught.value.message == "document of 4194305 bytes exceeds document_bytes=4194304"
    assert await store.read("things") == [("good", 1)]


async def test_write_above_the_bound_is_refused(store: Store) -> None:
    text = "d" * (DOCUMENT_BYTES - 2)
    with pytest.raises(RequestError) as caught:
        await store.write([Put("things", key, text) for key in "abcd"])
    assert caught.value.code is ErrorCode.TOO_LARGE
    assert caught.value.message == f"write of {WRITE_BYTES + 4 * 65} bytes exceeds write_bytes={WRITE_BYTES}"
    assert await store.read("things") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"collection": "Things"}, f'{BAD_COLLECTION}"Things"'),
        ({"limit": 0}, "limit: expected a whole number of at least 1, got 0"),
        ({"limit": -1}, "limit: expected a whole number of at least 1, got -1"),
        ({"limit": True}, "limit: expected a whole number of at least 1, got true"),
        ({"limit": "1"}, 'limit: expected a whole number of at least 1, got "1"'),
        ({"prefix": "\udfff"}, 'prefix: expected text that UTF-8 can carry, got "\\udfff"'),
        ({"prefix": None}, "prefix: expected text, got null"),
        ({"after": 5}, "after: expected text, got 5"),
    ],
)
async def test_read_that_cannot_be_answered_is_refused(store: Store, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared in full below
        await store.read(**{"collection": "things", **arguments})
    assert str(caught.value) == message


async def test_get_refuses_what_cannot_be_a_key(store: Store) -> None:
    with pytest.raises(ValueError, match=r'^key: expected text that is not empty, got ""$'):
        await store.get("things", "")
    with pytest.raises(ValueError, match=f'^{BAD_COLLECTION}"things/"$'):
        await store.get("things/", "a")
