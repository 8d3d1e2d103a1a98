"""
The feature: rules watch streams, alerts come and go, and those who should know are told.

`observe` is called with every sample and never blocks. What it brings about is written first and told then, in the
order in which it came about, by one task; so what was told survives a crash, and nothing is told twice. Only where the
store fails is an alert told without being kept: somebody must hear of it, perhaps of this very disk.

A command waits for what came before it, is written, and takes effect; one lock orders the writes. Alerts are rare, or
they would not be read: one lock for all is enough.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Final, Protocol

import trio
from attrs import evolve

from rtcore.errors import DeliveryFailed, ErrorCode, RequestError
from rtcore.features.alerts.alert import Alert, AlertState, Severity
from rtcore.features.alerts.alert_journal import AlertJournal
from rtcore.features.alerts.alert_store import AlertStore
from rtcore.features.alerts.alert_watch import AlertWatch
from rtcore.features.alerts.announcements import CHANNEL, AlertEvent, Announcement, Announcer
from rtcore.features.alerts.channels.targets import Targets, open_targets
from rtcore.features.alerts.commands import alert_commands
from rtcore.features.alerts.delivery import Deliveries, Delivery
from rtcore.features.alerts.hooks import AlertHook, AlertHooks
from rtcore.features.alerts.rule import AlertRule, RuleBody, check_reads, check_rule
from rtcore.features.alerts.rule_book import RuleBook, WatchedRule
from rtcore.features.alerts.rule_state import Phase
from rtcore.features.alerts.settings import AlertSettings
from rtcore.features.alerts.statistics import AlertStatistics
from rtcore.features.feature import Feature, Publisher
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.registry import Snapshot
from rtcore.hub.timeouts import TimeoutWatcher
from rtcore.protocol.wire_fields import read_object
from rtcore.store.store import Store
from rtcore.values.channels import Namespace
from rtcore.values.events import Json, format_timestamp
from rtcore.values.limits import Limits

__all__ = ["AlertHub", "Alerts"]

ID_BYTES: Final = 12


class AlertHub(Publisher, Protocol):
    """What alerts need of a hub."""

    limits: Limits
    timeouts: TimeoutWatcher
    clock: Callable[[], float]
    """Unix seconds."""


class Alerts(Feature):
    """
    Rules on streams, and their alerts.

    Args:
        hub: Where events go.
        store: Where rules and alerts are kept.
        settings: Roles, targets and times.
        targets: Where notifications go; None: where the settings say.
    """

    NAMESPACES: ClassVar[Mapping[str, Namespace]] = {CHANNEL: Namespace(publish_roles=frozenset())}
    REPLIES: ClassVar = frozenset({"alert.acknowledged", "alert.list", "alert.silenced"})

    def __init__(
        self, hub: AlertHub, store: Store, settings: AlertSettings | None = None, targets: Targets | None = None
    ) -> None:
        self.settings = settings or AlertSettings()
        self._hub = hub
        self._limits = hub.limits
        self._book = RuleBook(hub.limits)
        self._targets = open_targets(self.settings) if targets is None else targets
        self._hooks = AlertHooks(self.settings.hook_seconds, self._hook_failed)
        self._deliveries = Deliveries(
            self._targets.senders, self.settings, hub.limits.alert_deliveries, self._delivery_ended
        )
        self._announcer = Announcer(hub, self._targets, self._deliveries, self._hooks)
        self._journal = AlertJournal(
            AlertStore(store, trio.current_time, hub.clock), self._book, self._announcer, hub.limits.alert_deliveries
        )
        self._watch = AlertWatch(
            self._book, hub.timeouts, hub.clock, self._journal.record, self.settings.resolved_alerts
        )

    # What the hub asks

    @property
    def commands(self) -> Mapping[str, CommandRule[Any]]:
        """`alert.acknowledge`, `alert.silence`, `alert.list`."""
        return alert_commands(self, CHANNEL, self.settings.roles)

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """The alerts that are firing or acknowledged."""
        return {CHANNEL: lambda _identity, _channel: {"alerts": self._active_documents()}}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take up what was kept, then serve until cancelled."""
        await self._journal.load(self._limits)
        self._watch.begin()
        try:
            await self._journal.run(task_status=task_status)
        finally:
            self._watch.end()

    # Samples

    def observe(self, stream: str, data: Mapping[str, Json]) -> None:
        """
        Take a sample of a stream; never blocks, and never raises for what is in it.

        Args:
            stream: Name of the stream.
            data: Its figures now. A rule's name is one of its keys, or a path of keys with dots between.
        """
        self._watch.observe(stream, data)

    def withhold(self, withheld: Callable[[str], bool]) -> None:
        """
        Leave values out of alerts that are of streams which not everybody may read who hears of alerts.

        Args:
            withheld: Whether a stream is one, by its name; asked when a rule fires, must not block or raise.
        """
        self._watch.withheld = withheld

    @property
    def streams(self) -> frozenset[str] | None:
        """The streams that rules read; None: any."""
        return self._book.streams

    def on_rules_changed(self, callback: Callable[[], None]) -> None:
        """Call a function when a rule has come or gone; it must not block or raise. There is one such function."""
        self._book.changed = callback

    # Rules

    async def add_rule(self, rule: RuleBody | Mapping[str, Json], *, by: str = "") -> AlertRule:
        """
        Keep a rule, and watch for it from now on.

        Args:
            rule: What it says, in the form of the REST API or read already.
            by: Who adds it.

        A checkpoint. Cancelled, the rule is not there.

        Raises:
            RequestError: The rule is wrong, its name is taken, there are too many, or it cannot be kept.
        """
        body = read_object(rule.document() if isinstance(rule, RuleBody) else rule, RuleBody)
        condition = check_rule(body, self._limits, known_channels=self._targets.known())
        check_reads(condition)
        async with self._journal.lock:
            if self._book.named(body.name) is not None:
                raise RequestError(ErrorCode.CONFLICT, "name: another rule has this name", field="name")
            if len(self._book) >= self._limits.alert_rules:  # not for a while: until somebody removes one
                words = f"there are alert_rules={self._limits.alert_rules} already; remove one first"
                raise RequestError(ErrorCode.TOO_LARGE, words)
            added = AlertRule(
                id=secrets.token_hex(ID_BYTES),
                body=body,
                condition=condition,
                created_at=self._hub.clock(),
                created_by=by,
            )
            await self._journal.keep([self._journal.records.put_rule(added)])
            self._watch.add(added)
            self._announcer.publish(AlertEvent.RULE_ADDED, added.document())
            return added

    async def remove_rule(self, rule_id: str) -> None:
        """
        Forget a rule; its alert, if there is one, is resolved by that.

        A checkpoint. Cancelled, the rule is still there.

        Raises:
            RequestError: There is no such rule, or the store failed.
        """
        async with self._journal.settled():
            watched = self._find(rule_id)
            last = self._watch.last_word(watched)
            await self._journal.forget(watched, last)
            self._watch.remove(watched, last)
            self._announcer.publish(AlertEvent.RULE_REMOVED, {"id": rule_id, "name": watched.rule.body.name})

    def rules(self) -> list[AlertRule]:
        """All rules, oldest first."""
        return [watched.rule for watched in self._book]

    def alerts(self) -> list[Alert]:
        """All alerts that are firing or acknowledged."""
        return [watched.alert for watched in self._book if watched.alert is not None]

    # Alerts

    async def acknowledge(self, alert_id: str, *, by: str = "", note: str | None = None) -> Alert:
        """
        Say that somebody knows of an alert: the same user may say so again.

        A checkpoint. Cancelled, nothing has changed.

        Raises:
            RequestError: There is no such alert, it is resolved, somebody else knows already, or the store failed.
        """
        async with self._journal.settled():
            watched = self._book.with_alert(alert_id)
            if watched is None or watched.alert is None:
                raise self._no_alert(alert_id)
            if watched.alert.state is AlertState.ACKNOWLEDGED:
                return _acknowledged_by(watched.alert, by)
            alert = evolve(
                watched.alert,
                state=AlertState.ACKNOWLEDGED,
                acknowledged_by=by,
                acknowledged_at=self._hub.clock(),
                note=note,
            )
            state = evolve(watched.state, phase=Phase.ACKNOWLEDGED)
            await self._journal.keep([self._journal.records.put_state(watched.rule.id, state, alert)])
            if watched.alert is None or watched.alert.id != alert_id:
                raise self._no_alert(alert_id)  # while it was being written; what is pending now is written over it
            watched.alert, watched.state = alert, evolve(watched.state, phase=Phase.ACKNOWLEDGED)
            self._journal.tell(Announcement(event=AlertEvent.ACKNOWLEDGED, alert=alert, rule=watched.rule, tell=False))
            return alert

    async def silence(self, rule_id: str, seconds: float, *, by: str = "") -> dict[str, Json]:
        """
        Keep a rule's alerts from being told for a while; 0 ends that.

        A checkpoint. Cancelled, nothing has changed.

        Returns:
            `rule_id`, `rule`, `silenced_until` and `by`, as they are published.

        Raises:
            RequestError: There is no such rule, or the store failed.
        """
        async with self._journal.settled():
            watched = self._find(rule_id)
            now = trio.current_time()
            until = now + seconds if seconds > 0 else None
            state = evolve(watched.state, silenced_until=until)
            await self._journal.keep([self._journal.records.put_state(rule_id, state, watched.alert)])
            self._book.silence(watched, until)
            self._watch.look(watched)
            silenced: dict[str, Json] = {
                "rule_id": rule_id,
                "rule": watched.rule.body.name,
                "silenced_until": self._shown_until(watched),
                "by": by,
            }
            self._announcer.publish(AlertEvent.SILENCED, dict(silenced))
            return silenced

    def on_alert(
        self,
        hook: AlertHook,
        *,
        rule: str | None = None,
        severities: Collection[Severity | str] | None = None,
    ) -> Callable[[], None]:
        """
        Call a function whenever an alert fires, is acknowledged or is resolved: to scale, to redirect, to pause.

        It runs in a task of its own, within `hook_seconds`, once the change is kept; also for alerts that a silence
        holds back. What it raises is logged and published as `alert_hook_failed`, and harms nobody.

        Args:
            hook: Takes the alert; may be asynchronous.
            rule: Only for the rule of this name or id.
            severities: Only for alerts of these.

        Returns:
            A function that takes the hook out again.
        """
        wanted = None if severities is None else frozenset(map(Severity, severities))
        return self._hooks.add(hook, rule=rule, severities=wanted)

    # What is shown

    def overview(self) -> dict[str, Json]:
        """Alerts that are there, alerts that were, and rules with where they stand."""
        return {
            "alerts": self._active_documents(),
            "resolved": [alert.document() for alert in reversed(self._watch.resolved)],
            "rules": self.rule_documents(),
        }

    def rule_documents(self) -> list[Json]:
        """All rules as clients see them, each with where it stands and what is wrong with it."""
        return [self._rule_document(watched) for watched in self._book]

    def rule_document(self, rule_id: str) -> Json:
        """
        One rule as clients see it.

        Raises:
            RequestError: There is no such rule.
        """
        return self._rule_document(self._find(rule_id))

    def statistics(self) -> AlertStatistics:
        """What there is and what was done."""
        return AlertStatistics(
            rules=len(self._book),
            active=len(self.alerts()),
            triggered=self._watch.triggered,
            evaluations=self._book.evaluations,
            hook_failures=self._hooks.failures,
            deliveries=self._deliveries.statistics(),
        )

    def _active_documents(self) -> list[Json]:
        return [alert.document() for alert in self.alerts()]

    def _rule_document(self, watched: WatchedRule) -> Json:
        notes: list[Json] = [f"{name}: more samples than alert_window_samples" for name in watched.view.shortened()]
        notes += [f"{name}: no target of this kind is set" for name in self._targets.idle(watched.rule.body.channels)]
        return {
            **watched.rule.document(),
            "state": watched.state.phase.value,
            "alert_id": None if watched.alert is None else watched.alert.id,
            "silenced_until": self._shown_until(watched),
            "unknown": watched.verdict.reason,
            "notes": notes,
        }

    def _shown_until(self, watched: WatchedRule) -> str | None:
        now, until = trio.current_time(), watched.state.silenced_until
        return None if until is None or until <= now else format_timestamp(self._hub.clock() + until - now)

    def _find(self, rule_id: str) -> WatchedRule:
        watched = self._book.find(rule_id)
        if watched is None:
            raise RequestError(ErrorCode.NOT_FOUND, "there is no such rule", field="rule_id")
        return watched

    def _no_alert(self, alert_id: str) -> RequestError:
        if any(alert.id == alert_id for alert in self._watch.resolved):
            return RequestError(ErrorCode.CONFLICT, "the alert is resolved already", field="alert_id")
        return RequestError(ErrorCode.NOT_FOUND, "there is no such alert", field="alert_id")

    def _hook_failed(self, alert: Alert, hook: str, words: str) -> None:
        self._announcer.say_hook_failed(alert, hook, words)

    def _delivery_ended(self, delivery: Delivery, failure: DeliveryFailed | None) -> None:
        self._journal.settle(delivery)
        if failure is not None:
            self._announcer.say_delivery_failed(delivery, failure)


def _acknowledged_by(alert: Alert, by: str) -> Alert:
    if alert.acknowledged_by == by:
        return alert
    raise RequestError(ErrorCode.CONFLICT, f"acknowledged already by {alert.acknowledged_by}", field="alert_id")
