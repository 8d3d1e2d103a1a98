"""A connection that only converses is cut in time, whatever its task waits for; over a socket, memory and TLS alike."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
import trio
import trio.testing

from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode

OpenTalk = Any  # the fixture of conftest.py


class Stuck:
    """A conversation whose messages wait for what never comes."""

    def begin(self) -> None:
        return None

    def handle(self, message: object) -> Awaitable[None]:
        return trio.sleep_forever()  # noqa: ASYNC105  # whoever asked awaits it

    def pinged(self) -> None:
        return None

    def end(self) -> None:
        return None


@pytest.mark.parametrize("messages", [0, 1])
async def test_conversation_is_cut_where_its_peer_never_answers_a_close_frame(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk, messages: int
) -> None:
    """Also while a command waits, such as to publish where there is no room."""
    async with open_talk(None, limits=Limits(close_seconds=6)) as talk:
        talk.connection.conversation = Stuck()
        for _ in range(messages):
            await talk.peer.send_text("wait")
        await trio.testing.wait_all_tasks_blocked(0.05)
        began = trio.current_time()
        talk.connection.close(CloseCode.NORMAL)
        await talk.finished.wait()
        assert 6 <= trio.current_time() - began <= 12
        assert talk.hub.statistics().timers == 0


async def test_conversation_is_cancelled_while_a_command_waits(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """The scope that the command waits in must not take the cancellation for its own."""
    async with open_talk(None) as talk:
        talk.connection.conversation = Stuck()
        await talk.peer.send_text("wait")
        await trio.testing.wait_all_tasks_blocked(0.05)
        began = trio.current_time()
        talk.scope.cancel()
        assert (await talk.peer.receive_close()).code == CloseCode.GOING_AWAY
        await talk.finished.wait()
        assert trio.current_time() - began <= 3


@pytest.mark.parametrize("handled", [False, True])
async def test_what_waits_is_given_up_when_the_connection_is_lost(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk, handled: bool
) -> None:
    """Nobody is there to be answered; and a deadline that has passed meanwhile must not fire again and again."""

    async def never(connection: object) -> None:
        await trio.sleep_forever()

    async with open_talk(never if handled else None) as talk:
        if not handled:
            talk.connection.conversation = Stuck()
            await talk.peer.send_text("wait")
        await trio.testing.wait_all_tasks_blocked(0.05)
        talk.connection.timers.expires = trio.current_time() + 1
        talk.connection._lose("reset by its peer")
        with trio.fail_after(1):
            await talk.finished.wait()
        await trio.sleep(5)
        assert talk.hub.statistics().timers == 0
