"""What the handler of a command has at hand, and what it hands back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import define

from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.cursor import Cursor
from rtcore.hub.hub import Hub
from rtcore.hub.subscriber import Subscriber
from rtcore.protocol.envelope import RequestId
from rtcore.values.hot import value
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits
from rtcore.values.positions import Position

__all__ = ["Answering", "CommandContext", "Reply", "told_position"]


@value
class Reply:
    """A message to the client; the request's id and the time are added by the session."""

    type: str
    data: Mapping[str, object] | Sequence[object]
    unasked: bool = True
    """Whether it is sent also when the request had no id: False where giving none means not wanting to hear."""


class Answering(Protocol):
    """What sends answers to a client: its session."""

    def answer(self, outcome: Reply | Exception, identifier: RequestId | None) -> None:
        """Answer the command with this id; nothing happens once the connection is closing."""
        ...


@define(eq=False)  # for each command; by position, which costs half
class CommandContext:
    """One authenticated client, as the commands see it."""

    hub: Hub
    subscriber: Subscriber
    identity: Identity
    limits: Limits
    asked: bool
    """Whether the request had an id: a reply to one without is mostly not sent, and need not be made."""
    session: Answering | None = None
    """Where answers that come later go."""
    request_id: RequestId | None = None
    """The command's, with which its answer goes."""

    def answer(self, outcome: Reply | Exception) -> None:
        """
        Answer a command whose handler returned None: from a task or a callback, once, whenever it is ready. Meanwhile
        the client's next commands are carried out. An exception is told as though the handler had raised it.
        """
        assert self.session is not None, "a command without a session is answered by what its handler returns"
        self.session.answer(outcome, self.request_id)

    def cursor(self, channel: str, field: str) -> Cursor:
        """
        The client's cursor on a channel.

        Raises:
            RequestError: `request.unknown_channel` if it is not subscribed; the words are the same for any channel.
        """
        cursor = self.subscriber.cursors.get(channel)
        if cursor is None:
            raise RequestError(ErrorCode.UNKNOWN_CHANNEL, f"{field}: not subscribed to this channel", field=field)
        return cursor


def told_position(cursor: Cursor) -> Position:
    """
    What a cursor's client has been told of: everything up to here was handed over, left out by the filter, or named.

    A cursor counts what was dropped as settled at once, but a reply leaves before the notice of it. A client that broke
    off between the two would not know that it lost something.
    """
    position, loss = cursor.position, cursor.loss
    if loss is None:
        return position
    lanes = [position.high, position.normal, position.low]
    for lane, (first, _, _) in loss.ranges.items():
        lanes[lane] = min(lanes[lane], first - 1)
    return Position(position.epoch, *lanes)
