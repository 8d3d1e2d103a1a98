"""
The length of the queue, told to each dashboard as it sees it.

A dashboard may see more than one desk, so this figure is of whoever looks, and not of a desk: it cannot be an event of
a desk's channel. What changes within one turn of Trio's loop is told once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import trio
from attrs import define

from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.hub import Hub
from rtcore.hub.subscriber import Subscriber
from rtcore.values.identity import Identity

__all__ = ["Watchers"]

_AGAIN_SECONDS: Final = 0.1
"""How soon it is tried again to tell one that was busy; what it sees is then as of that time."""


@define(eq=False)
class _Watcher:
    context_now: Callable[[], CommandContext]
    told: int


class Watchers:
    """
    Args:
        hub: Whose timers are used.
        depth: How many wait, of those that somebody sees.
    """

    def __init__(self, hub: Hub, depth: Callable[[Identity], int]) -> None:
        self._hub = hub
        self._depth = depth
        self._watchers: dict[str, dict[Subscriber, _Watcher]] = {}  # by the channel of a desk that may come to be
        self._changed: set[str] = set()
        self._late: dict[Subscriber, _Watcher] = {}  # changed, but could not be told yet
        self._trying_again = False

    def add(self, context_now: Callable[[], CommandContext], channels: Iterable[str]) -> None:
        """
        A dashboard has come; it is forgotten when it is gone.

        Args:
            context_now: It, with the identity that it has now.
            channels: Of the desks that could be its.
        """
        context, channels = context_now(), tuple(channels)
        watcher = _Watcher(context_now, self._depth(context.identity))
        for channel in channels:
            self._watchers.setdefault(channel, {})[context.subscriber] = watcher
        self._hub.when_gone(context.subscriber, partial(self._forget, context.subscriber, channels))

    def changed(self, channel: str) -> None:
        """More or fewer wait at a desk."""
        if channel in self._watchers:
            if not self._changed:
                self._hub.timeouts.call_at(trio.current_time(), self._tell)
            self._changed.add(channel)

    def _tell(self) -> None:
        changed, self._changed = self._changed, set()
        due, self._late = self._late, {}
        for channel in changed:
            due.update(self._watchers.get(channel, {}))
        for subscriber, watcher in due.items():
            if subscriber.blocked:  # it is still writing: nothing is heaped up for who takes nothing
                self._late[subscriber] = watcher
            else:
                self._tell_one(watcher)
        if self._late and not self._trying_again:
            self._trying_again = True
            self._hub.timeouts.call_at(trio.current_time() + _AGAIN_SECONDS, self._try_again)

    def _try_again(self) -> None:
        self._trying_again = False
        self._tell()

    def _tell_one(self, watcher: _Watcher) -> None:
        context = watcher.context_now()
        depth = self._depth(context.identity)
        if depth != watcher.told and context.session is not None:
            watcher.told = depth
            context.session.answer(Reply("queue_depth_changed", {"queue_depth": depth}), None)

    def _forget(self, subscriber: Subscriber, channels: Iterable[str]) -> None:
        self._late.pop(subscriber, None)
        for channel in channels:
            watchers = self._watchers[channel]
            del watchers[subscriber]
            if not watchers:
                del self._watchers[channel]
