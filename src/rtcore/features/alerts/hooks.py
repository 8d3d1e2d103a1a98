"""
Functions of the application's own that answer alerts: scale, redirect load, pause flows.

Each hook has a queue and, while there is something in it, one task: it is told of changes one after the other, in their
order, so that what it does at the end of an alert comes after what it did at the beginning. What one hook does, or
fails to do, is no other's affair.
"""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import trio
from attrs import define, field

from rtcore.features.alerts.alert import Alert, Severity

__all__ = ["AlertHook", "AlertHooks", "HookFailed"]

_logger = logging.getLogger(__name__)
_MOST_WAITING: Final = 100  # alerts for one hook; with a cooldown, as many would take hours to come together

AlertHook = Callable[[Alert], Awaitable[None] | None]
"""Called with an alert when it fires, is acknowledged and is resolved; `alert.state` says which."""
HookFailed = Callable[[Alert, str, str], None]
"""Told of a hook that failed: the alert, the hook's name, and what went wrong in words."""


@define(eq=False)
class _Entry:
    hook: AlertHook
    rule: str | None
    severities: Collection[Severity] | None
    waiting: deque[Alert] = field(init=False, factory=deque)
    running: bool = field(init=False, default=False)

    def wants(self, alert: Alert) -> bool:
        of_rule = self.rule is None or self.rule in (alert.rule, alert.rule_id)
        return of_rule and (self.severities is None or alert.severity in self.severities)

    @property
    def name(self) -> str:
        return str(getattr(self.hook, "__qualname__", type(self.hook).__name__))


@define(eq=False)
class AlertHooks:
    """Runs hooks, each call within a time of its own."""

    seconds: float
    failed: HookFailed = field(repr=False)
    failures: int = field(init=False, default=0)
    """Calls that raised or took too long, or had no room to wait."""
    _entries: list[_Entry] = field(init=False, factory=list)

    def add(
        self, hook: AlertHook, *, rule: str | None = None, severities: Collection[Severity] | None = None
    ) -> Callable[[], None]:
        """Call a hook from now on; returns what takes it out again."""
        entry = _Entry(hook, rule, severities)
        self._entries.append(entry)

        def remove() -> None:
            if entry in self._entries:
                self._entries.remove(entry)
                entry.waiting.clear()

        return remove

    def start(self, alert: Alert, nursery: trio.Nursery) -> None:
        """Hand an alert to every hook that wants it; never blocks."""
        for entry in self._entries:
            if not entry.wants(alert):
                continue
            if len(entry.waiting) >= _MOST_WAITING:
                self._fail(entry, entry.waiting.popleft(), f"more than {_MOST_WAITING} alerts were waiting for it")
            entry.waiting.append(alert)
            if not entry.running:
                entry.running = True
                nursery.start_soon(self._serve, entry)

    async def _serve(self, entry: _Entry) -> None:
        while entry.waiting:
            await self._call(entry, entry.waiting.popleft())
        entry.running = False

    async def _call(self, entry: _Entry, alert: Alert) -> None:
        try:
            with trio.fail_after(self.seconds):
                result = entry.hook(alert)
                if inspect.isawaitable(result):
                    await result
        except trio.TooSlowError:
            self._fail(entry, alert, f"took longer than hook_seconds={self.seconds:g}")
        except Exception as error:  # the application's own code: it must not end the alerts of all others
            _logger.exception("hook %s failed for alert %s", entry.name, alert.id)
            self._fail(entry, alert, type(error).__name__)
        await trio.lowlevel.checkpoint()  # a hook need not be one, and a long queue must not hold up everyone else

    def _fail(self, entry: _Entry, alert: Alert, words: str) -> None:
        self.failures += 1
        self.failed(alert, entry.name, words)
