"""
All rules, and what samples and time make of them. No Trio, no hub: the time is an argument, in steady seconds.

A rule is asked when a sample of a field that it names comes, and looked at when a time that it waits for is over; never
otherwise. A sample costs a look-up for each name that rules of its stream, and of none, have, and those conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from attrs import define, evolve, field

from rtcore.features.alerts.alert import Alert
from rtcore.features.alerts.evaluation import UNKNOWN, Verdict, evaluate
from rtcore.features.alerts.expression import field_needs
from rtcore.features.alerts.rule import AlertRule
from rtcore.features.alerts.rule_state import Change, RuleState, Timing, next_deadline, step
from rtcore.features.alerts.watched_fields import FieldView, WatchedFields
from rtcore.values.events import Json
from rtcore.values.limits import Limits

__all__ = ["RuleBook", "WatchedRule"]


@define(eq=False)
class WatchedRule:
    """A rule, and where it stands."""

    rule: AlertRule
    view: FieldView = field(repr=False)
    sampled_at: float
    """When a sample for it came last; at first, when the rule came."""
    state: RuleState = field(factory=RuleState)
    verdict: Verdict = UNKNOWN
    alert: Alert | None = None
    """The alert that is firing or acknowledged."""
    timing: Timing = field(init=False)
    """The rule's times; made once, since every sample asks for them."""

    def __attrs_post_init__(self) -> None:
        self.timing = self.rule.timing

    def absent_at(self) -> float | None:
        """When the last sample will have been too long ago; None where that means nothing."""
        absent = self.rule.body.absent
        return None if absent is None else self.sampled_at + absent.after / 1000

    def truth(self, now: float) -> bool | None:
        """What the condition counts as."""
        absent, absent_at = self.rule.body.absent, self.absent_at()
        if absent is not None and absent_at is not None and now >= absent_at:
            return absent.state == "firing"
        return self.verdict.truth

    def advance(self, now: float) -> Change | None:
        """Let time pass."""
        self.state, change = step(self.state, self.timing, self.truth(now), now)
        return change

    def next_look(self, now: float) -> float | None:
        """When to let time pass again, at the latest; None: when a sample comes."""
        times = [next_deadline(self.state, self.timing)]
        absent_at = self.absent_at()
        if absent_at is not None and absent_at > now:
            times.append(absent_at)
        return min((time for time in times if time is not None), default=None)


class RuleBook:
    """
    All rules.

    Args:
        limits: `alert_window_samples` bounds what is kept of a field.
    """

    def __init__(self, limits: Limits) -> None:
        self._fields = WatchedFields(limits.alert_window_samples)
        self._rules: dict[str, WatchedRule] = {}
        self.evaluations = 0
        """How often a condition was asked."""
        self.changed: Callable[[], None] = lambda: None
        """Called when a rule has come or gone."""

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[WatchedRule]:
        return iter(self._rules.values())

    @property
    def streams(self) -> frozenset[str] | None:
        """The streams that rules read; None: any, since a rule says none."""
        named = {watched.rule.body.stream for watched in self}
        return None if None in named else frozenset(stream for stream in named if stream is not None)

    def find(self, rule_id: str) -> WatchedRule | None:
        """A rule by its id."""
        return self._rules.get(rule_id)

    def named(self, name: str) -> WatchedRule | None:
        """A rule by its name."""
        return next((watched for watched in self if watched.rule.body.name == name), None)

    def with_alert(self, alert_id: str) -> WatchedRule | None:
        """The rule whose alert this is, if it is firing or acknowledged."""
        return next((watched for watched in self if watched.alert is not None and watched.alert.id == alert_id), None)

    def add(
        self, rule: AlertRule, now: float, state: RuleState | None = None, alert: Alert | None = None
    ) -> WatchedRule:
        """Begin to watch for a rule; `state` and `alert` are what is known of it from before."""
        view = self._fields.watch(rule.id, rule.body.stream, field_needs(rule.condition))
        watched = WatchedRule(rule, view, now, state or RuleState(), alert=alert)
        self._rules[rule.id] = watched
        self.changed()
        return watched

    def remove(self, rule_id: str) -> None:
        """Forget a rule, and what was kept for it alone."""
        watched = self._rules.pop(rule_id)
        self._fields.unwatch(rule_id, watched.rule.body.stream)
        self.changed()

    def observe(self, stream: str, data: Mapping[str, Json], now: float) -> Iterator[tuple[WatchedRule, Change | None]]:
        """Take a sample, all of it before the first rule is asked; yields each rule that it concerns, asked."""
        for rule_id in self._fields.observe(stream, data, now):
            watched = self._rules[rule_id]
            watched.sampled_at = watched.view.now = now
            watched.verdict = evaluate(watched.rule.condition, watched.view)
            self.evaluations += 1
            yield watched, watched.advance(now)
        self._fields.forget_views()

    def silence(self, watched: WatchedRule, until: float | None) -> None:
        """Keep a rule's alerts from being told until then; None: no longer."""
        watched.state = evolve(watched.state, silenced_until=until)
