"""
A dialect: what one kind of client calls things, and what it is sent without asking.

`rtcore.v1` is the default. A profile that serves clients of another making gives them their own message names and
commands; what carries the commands out is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen

from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.values.hot import value
from rtcore.values.identity import Identity

__all__ = ["RTCORE", "Dialect", "Greeting"]

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


@value
class Greeting:
    """What is known when a client connects."""

    connection_id: str
    """Unique name of the connection."""
    identity: Identity | None
    """Who it is; None: it has yet to authenticate."""
    data: Mapping[str, object]
    """The data of `welcome` in `rtcore.v1`."""


def _welcome(greeting: Greeting) -> Reply:
    return Reply("welcome", greeting.data)


@frozen(kw_only=True, eq=False)
class Dialect:
    """How one kind of client is spoken with."""

    greet: Callable[[Greeting], Reply | None] = _welcome
    """Its first message; None is none."""
    commands: Mapping[str, CommandRule[Any]] = _NONE
    """Commands that this dialect alone has, by message type; they come before those of features and core."""
    aliases: Mapping[str, str] = _NONE
    """What it calls commands, to what rtcore does."""
    replies: Mapping[str, str] = _NONE
    """Types of replies, to what this dialect calls them; `error` is called so everywhere."""
    channels: tuple[str, ...] = ()
    """What it is subscribed to once it is known who it is; `{user}` and `{workspace}` stand for its own, as
    `channel_part` writes them."""
    optional_channels: tuple[str, ...] = ()
    """As `channels`, but nothing is said of those that it may not read, or that there cannot be for it."""
    announces: bool = True
    """Whether it is sent `subscribed` for these channels."""
    begin: Callable[[Callable[[], CommandContext]], None] = lambda context_now: None
    """Called once it is known who a client is, after its channels; with what gives the client as it is now, so that it
    can be told what is its alone, by `context.session`, until it is gone."""
    schedules: Mapping[str, float] = field(default=_NONE)
    """Commands without data that are carried out for it every so many seconds, as though it had asked."""

    @schedules.validator
    def _check_schedules(self, _attribute: object, schedules: Mapping[str, float]) -> None:
        for name, seconds in schedules.items():
            if not 0 < seconds < math.inf:
                raise ValueError(f"schedule {name}: expected a number of seconds over 0, got {seconds}")


RTCORE: Final = Dialect()
"""`rtcore.v1` as it is."""
