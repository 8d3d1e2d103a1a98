"""A peer's last word is answered by whatever way the handler ends, over a socket, memory and TLS alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from rtcore.errors import ConnectionClosed
from rtcore.testing import mask_frame
from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.opcodes import CloseCode, Opcode

OpenTalk = Any  # the fixture of conftest.py
GOODBYE = mask_frame(Opcode.CLOSE, (3001).to_bytes(2, "big"))


def go_on() -> None:
    """The handler returns."""


def fail() -> None:
    raise RuntimeError("on purpose")


@pytest.mark.parametrize("end", [go_on, fail])
@pytest.mark.parametrize(
    ("last", "code"), [(GOODBYE, 3001), (b"\xff\xff", CloseCode.PROTOCOL_ERROR)], ids=["close", "violation"]
)
async def test_handler_that_ends_with_the_message_before_the_last_word_leaves_it_no_less_answered(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk, end: Callable[[], None], last: bytes, code: int
) -> None:
    """Both came in one read, and nobody asked for what comes after the message; the answer waits for no time-out."""

    async def handler(connection: WebSocketConnection) -> None:
        await connection.receive()
        end()

    async with open_talk(handler) as talk:
        await talk.peer.send_raw(mask_frame(Opcode.TEXT, b"hello") + last)
        began = trio.current_time()
        with pytest.raises(ConnectionClosed) as closed:
            await talk.peer.receive_message()
        assert (closed.value.code, trio.current_time()) == (code, began)


async def test_handler_that_is_cancelled_before_it_asks_for_the_last_word_leaves_it_no_less_answered(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    async def handler(connection: WebSocketConnection) -> None:
        await connection.receive()
        await trio.sleep_forever()

    async with open_talk(handler) as talk:
        await talk.peer.send_raw(mask_frame(Opcode.TEXT, b"hello") + GOODBYE)
        await trio.testing.wait_all_tasks_blocked()
        talk.scope.cancel()
        began = trio.current_time()
        assert (await talk.peer.receive_close()).code == 3001
        await talk.finished.wait()
        assert trio.current_time() == began
