"""
What of alerts survives a restart: rules, where they stand, and notifications that are not out yet.

Times on the steady clock mean nothing to another process, so they are kept as Unix seconds. Of a rule that waits for
its condition to have held long enough nothing is kept: it waits anew. A notification is kept in the same write that
says that its alert fires, and forgotten when it is out: so each is told, and none twice, but for one that was on its
way at the very moment of a crash. It carries the same id then. What has gathered before
a slow store may be too much for one write: then the notifications are kept first, and where the rules stand last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import define, field

from rtcore.errors import RequestError
from rtcore.features.alerts.alert import Alert
from rtcore.features.alerts.channels.notification import Notification
from rtcore.features.alerts.delivery import Delivery
from rtcore.features.alerts.rule import AlertRule
from rtcore.features.alerts.rule_book import RuleBook, WatchedRule
from rtcore.features.alerts.rule_state import Phase, RuleState
from rtcore.store.store import Change, Delete, Put, Store
from rtcore.values.events import Json
from rtcore.values.limits import Limits

__all__ = ["AlertStore"]

_logger = logging.getLogger(__name__)
_RULES: Final = "alert_rules"
_STATES: Final = "alert_states"
_DELIVERIES: Final = "alert_deliveries"


@define(eq=False)
class AlertStore:
    """Reads and writes; between the steady clock and the Unix clock, which are asked at the same moment."""

    store: Store
    steady: Callable[[], float]
    clock: Callable[[], float] = field(repr=False)
    """Unix seconds."""

    async def load(self, book: RuleBook, limits: Limits) -> None:
        """
        Put all rules into the book, as they stood.

        A rule that cannot be read, because limits were lowered or the store was written by a newer version, is left
        where it is and named in the log: the others must go on.
        """
        states = dict(await self.store.read(_STATES))
        found: list[tuple[AlertRule, RuleState, Alert | None]] = []
        for rule_id, record in await self.store.read(_RULES):
            try:
                rule = AlertRule.of_record(rule_id, _mapping(record), limits)
                found.append((rule, *self._state(_mapping(states.get(rule_id, {})))))
            except (RequestError, KeyError, TypeError, ValueError) as error:
                _logger.error("alert rule %s was not taken up: %s: %s", rule_id, type(error).__name__, error)
        for rule, state, alert in sorted(found, key=lambda each: each[0].created_at):
            book.add(rule, self.steady(), state, alert)

    async def load_deliveries(self) -> list[Delivery]:
        """Notifications that are not out yet, oldest alert first."""
        found: list[Delivery] = []
        for key, record in await self.store.read(_DELIVERIES):
            try:
                entry = _mapping(record)
                notification = Notification(event=entry["event"], alert=Alert.of_record(entry["alert"]))
                found.append(Delivery(target=entry["target"], notification=notification))
            except (KeyError, TypeError, ValueError) as error:
                _logger.error("notification %s was not taken up: %s: %s", key, type(error).__name__, error)
        return sorted(found, key=_moment)

    async def write(self, changes: Iterable[Change]) -> None:
        """Make changes durable, all or none; see `Store.write`."""
        await self.store.write(changes)

    def put_rule(self, rule: AlertRule) -> Change:
        """Keep a rule."""
        return Put(_RULES, rule.id, rule.record())

    def delete_rule(self, rule_id: str) -> list[Change]:
        """Forget a rule and where it stood."""
        return [Delete(_RULES, rule_id), Delete(_STATES, rule_id)]

    def put_state(self, rule_id: str, state: RuleState, alert: Alert | None) -> Change:
        """Keep where a rule stands."""
        record: dict[str, Json] = {
            "phase": (state.phase if state.active else Phase.QUIET).value,
            "triggered_at": self._to_unix(state.triggered_at),
            "silenced_until": self._to_unix(state.silenced_until),
            "told": state.told,
            "alert": None if alert is None else alert.record(),
        }
        return Put(_STATES, rule_id, record)

    def put_watched(self, watched: WatchedRule) -> Change:
        """Keep where a rule stands now."""
        return self.put_state(watched.rule.id, watched.state, watched.alert)

    def put_delivery(self, delivery: Delivery) -> Change:
        """Keep a notification until it is out."""
        notification = delivery.notification
        record: dict[str, Json] = {
            "target": delivery.target,
            "event": notification.event,
            "alert": notification.alert.record(),
        }
        return Put(_DELIVERIES, delivery.key, record)

    def delete_delivery(self, key: str) -> Change:
        """Forget a notification that is out, or was given up."""
        return Delete(_DELIVERIES, key)

    def _state(self, record: Mapping[str, Any]) -> tuple[RuleState, Alert | None]:
        if not record:
            return RuleState(), None
        alert = None if record["alert"] is None else Alert.of_record(record["alert"])
        state = RuleState(
            phase=Phase(record["phase"]),
            triggered_at=self._to_steady(record["triggered_at"]),
            silenced_until=self._to_steady(record["silenced_until"]),
            told=record["told"],
        )
        if state.active != (alert is not None):
            raise ValueError("an alert without a firing rule, or a firing rule without an alert")
        return state, alert

    def _to_unix(self, time: float | None) -> float | None:
        return None if time is None else time - self.steady() + self.clock()

    def _to_steady(self, time: float | None) -> float | None:
        return None if time is None else time - self.clock() + self.steady()


def _moment(delivery: Delivery) -> tuple[float, bool]:
    """When it was told; of one alert, and at one moment, its beginning comes before its end."""
    alert = delivery.notification.alert
    return (alert.started_at, False) if alert.resolved_at is None else (alert.resolved_at, True)


def _mapping(record: object) -> Mapping[str, Any]:
    if not isinstance(record, Mapping):
        raise TypeError(f"expected an object, got {type(record).__name__}")
    return record
