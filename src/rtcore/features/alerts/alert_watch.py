"""Watching: samples and timers come in, what becomes of alerts goes out."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import trio
from attrs import evolve

from rtcore.features.alerts.alert import Alert, AlertState, Severity
from rtcore.features.alerts.announcements import AlertEvent, Announcement
from rtcore.features.alerts.rule import MESSAGE_LENGTH, AlertRule
from rtcore.features.alerts.rule_book import RuleBook, WatchedRule
from rtcore.features.alerts.rule_state import Change
from rtcore.hub.timeouts import TimeoutWatcher, Timer
from rtcore.values.events import Json

__all__ = ["ID_BYTES", "AlertWatch"]

ID_BYTES: Final = 12
"""Random bytes of an id."""
_WITHHELD: Final = "(withheld)"
"""What a message says in place of a value that not everybody may read."""
_EVENTS: Final[Mapping[Change, AlertEvent]] = {
    Change.TRIGGERED: AlertEvent.TRIGGERED,
    Change.TOLD: AlertEvent.SILENCE_ENDED,
    Change.RESOLVED: AlertEvent.RESOLVED,
}


class AlertWatch:
    """
    Keeps rules up to date with samples and time.

    Args:
        book: The rules.
        timeouts: The hub's timers.
        clock: Unix seconds.
        record: Takes what became of an alert; must not block.
        resolved_most: Resolved alerts that are remembered.
    """

    def __init__(
        self,
        book: RuleBook,
        timeouts: TimeoutWatcher,
        clock: Callable[[], float],
        record: Callable[[Announcement], None],
        resolved_most: int,
    ) -> None:
        self._book = book
        self._timeouts = timeouts
        self._clock = clock
        self._record = record
        self._timers: dict[str, Timer] = {}
        self.resolved: deque[Alert] = deque(maxlen=resolved_most)
        """The newest alerts that are over, oldest first."""
        self.withheld: Callable[[str], bool] = lambda _stream: False
        """Whether the values of a stream are not for everybody who hears of alerts."""
        self.triggered = 0
        """Alerts that began."""

    def begin(self) -> None:
        """Set the timers of the rules that are there."""
        for watched in self._book:
            self._look_again(watched, trio.current_time())

    def end(self) -> None:
        """Take back all timers."""
        for timer in self._timers.values():
            timer.cancel()

    def add(self, rule: AlertRule) -> None:
        """Watch for a rule from now on."""
        now = trio.current_time()
        self._look_again(self._book.add(rule, now), now)

    def remove(self, watched: WatchedRule, last: Announcement | None) -> None:
        """Watch for a rule no longer; `last` is the end of its alert, if it had one."""
        self._book.remove(watched.rule.id)
        timer = self._timers.pop(watched.rule.id, None)
        if timer is not None:
            timer.cancel()
        if last is not None and watched.alert is not None:
            self.resolved.append(last.alert)

    def last_word(self, watched: WatchedRule) -> Announcement | None:
        """The end that the alert of a rule comes to when the rule goes."""
        if watched.alert is None:
            return None
        note = "the rule was removed"
        alert = evolve(watched.alert, state=AlertState.RESOLVED, resolved_at=self._clock(), note=note)
        tell = watched.state.told and watched.rule.body.notify_resolved
        return Announcement(event=AlertEvent.RESOLVED, alert=alert, rule=watched.rule, tell=tell)

    def observe(self, stream: str, data: Mapping[str, Json]) -> None:
        """Take a sample."""
        now = trio.current_time()
        for watched, change in self._book.observe(stream, data, now):
            self._after(watched, change, now)

    def look(self, watched: WatchedRule) -> None:
        """Let time pass for a rule."""
        now = trio.current_time()
        self._after(watched, watched.advance(now), now)

    def _after(self, watched: WatchedRule, change: Change | None, now: float) -> None:
        if change is not None:
            self._record(self._take(watched, change))
        self._look_again(watched, now)

    def _look_again(self, watched: WatchedRule, now: float) -> None:
        """At most one timer a rule: one that fires too early looks, and is put off."""
        due = watched.next_look(now)
        timer = self._timers.get(watched.rule.id)
        if due is None or (timer is not None and timer.callback is not None and timer.deadline <= due):
            return
        if timer is not None:
            timer.cancel()

        def look() -> float | None:
            moment = trio.current_time()
            change = watched.advance(moment)
            if change is not None:
                self._record(self._take(watched, change))
            again = watched.next_look(moment)
            if again is None:
                del self._timers[watched.rule.id]
            return again

        self._timers[watched.rule.id] = self._timeouts.call_at(due, look)

    def _take(self, watched: WatchedRule, change: Change) -> Announcement:
        """What a change makes of the rule's alert."""
        tell = watched.state.told
        if change is Change.TRIGGERED:
            self.triggered += 1
            alert = self._new_alert(watched)
        else:
            assert watched.alert is not None  # the state is active exactly as long as there is one
            alert = evolve(watched.alert, silenced=False)
        watched.alert = alert
        if change is Change.RESOLVED:
            alert = evolve(alert, state=AlertState.RESOLVED, resolved_at=self._clock(), silenced=not tell)
            watched.alert = None
            self.resolved.append(alert)
            tell = tell and watched.rule.body.notify_resolved
        return Announcement(event=_EVENTS[change], alert=alert, rule=watched.rule, tell=tell)

    def _new_alert(self, watched: WatchedRule) -> Alert:
        rule, values = watched.rule, watched.view.values()
        withheld = any(map(self.withheld, watched.view.streams()))
        if withheld:
            values = dict.fromkeys(values, _WITHHELD)
        alert = Alert(
            id=secrets.token_hex(ID_BYTES),
            rule_id=rule.id,
            rule=rule.body.name,
            severity=Severity(rule.body.severity),
            condition=rule.body.condition,
            message="",
            values=values,
            started_at=self._clock(),
            silenced=not watched.state.told,
        )
        alert = evolve(alert, message=alert.text(rule.message, MESSAGE_LENGTH))
        return evolve(alert, values={}) if withheld else alert
