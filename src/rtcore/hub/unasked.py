"""What a client is sent without asking: the channels that its dialect begins with, and answers on a schedule."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import trio

from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.hub import Hub
from rtcore.hub.subscriber import Subscriber
from rtcore.hub.subscription_commands import preparations, subscribe_now
from rtcore.values.channels import channel_part, check_channel_name
from rtcore.values.commands import ChannelName, Subscribe
from rtcore.values.identity import Identity

__all__ = ["fill_channel", "run_schedules", "subscribe_first"]

_BLANK: Final = re.compile(r"\{(user|workspace)\}")


def subscribe_first(
    context_now: Callable[[], CommandContext],
    template: str,
    tell: Callable[[Reply | RequestError], None],
    explain: Callable[[Exception], RequestError],
) -> None:
    """
    Subscribe to a channel of a dialect: at once, or as soon as the state behind it has been read.

    Args:
        context_now: The client as it is now: while it waits, its identity may change.
        template: Which channel.
        tell: Told the reply, or why there is none.
        explain: What may be told of an exception.
    """
    try:
        context = context_now()
        command = Subscribe(channels=(fill_channel(template, context.identity),))
        if preparations(context, command.channels):
            context.hub.access.check_read(context.identity, command.channels[0])
            context.hub.run_soon(partial(_subscribe_prepared, context_now, template, tell, explain))
            return
        tell(subscribe_now(context, command))
    except Exception as error:  # one failing channel must not end the connection, nor the hub
        tell(explain(error))


async def _subscribe_prepared(
    context_now: Callable[[], CommandContext],
    template: str,
    tell: Callable[[Reply | RequestError], None],
    explain: Callable[[Exception], RequestError],
) -> None:
    context = context_now()
    try:
        for prepare in preparations(context, (fill_channel(template, context.identity),)):
            await prepare()
    except Exception as error:  # as above
        tell(explain(error))
        return
    if not context.subscriber.over:
        subscribe_first(context_now, template, tell, explain)


def fill_channel(template: str, identity: Identity) -> ChannelName:
    """
    The channel that a template means for one identity.

    Args:
        template: A channel name in which `{user}` and `{workspace}` stand for the identity's own, as `channel_part`
            writes them.
        identity: Whose.

    Raises:
        RequestError: If it has none, or the channel's name would be too long.
    """
    names = {"user": identity.user, "workspace": identity.workspace or ""}
    if not all(names[blank] for blank in _BLANK.findall(template)):
        raise RequestError(ErrorCode.DENIED, f"there is no {template} without a token that says whose")
    try:
        # All at once: what a name holds is never taken for a blank.
        return ChannelName(check_channel_name(_BLANK.sub(lambda blank: channel_part(names[blank[1]]), template)))
    except ValueError as error:
        raise RequestError(ErrorCode.DENIED, f"{template}: {error}") from error


def run_schedules(
    hub: Hub, subscriber: Subscriber, schedules: Mapping[str, float], carry_out: Callable[[str], None]
) -> None:
    """
    Carry out commands for a client until it is gone, the first time after one interval.

    Args:
        hub: Whose timers are used.
        subscriber: The client; while it takes nothing, its turns are left out.
        schedules: Seconds between two turns, by command.
        carry_out: Carries one out.
    """
    for type, seconds in schedules.items():
        turn = partial(_turn, subscriber, partial(carry_out, type), seconds)
        timer = hub.timeouts.call_at(trio.current_time() + seconds, turn)
        hub.when_gone(subscriber, timer.cancel)


def _turn(subscriber: Subscriber, carry_out: Callable[[], None], seconds: float) -> float | None:
    if subscriber.over:
        return None
    if not subscriber.blocked:
        carry_out()
    return trio.current_time() + seconds
