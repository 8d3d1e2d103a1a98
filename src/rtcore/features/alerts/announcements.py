"""
Telling of an alert: an event to subscribers, notifications to targets, a call to hooks.

Events go out on one channel, `alerts`. A rule without the channel `dashboard` has none of its alerts there; but that a
notification was given up, or a hook failed, is always said there: it is for those who look after alerts.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Final

import trio
from attrs import define, field, frozen

from rtcore.errors import DeliveryFailed, HubClosed, RequestError
from rtcore.features.alerts.alert import Alert
from rtcore.features.alerts.channels.notification import Notification
from rtcore.features.alerts.channels.targets import DASHBOARD, Targets
from rtcore.features.alerts.delivery import Deliveries, Delivery
from rtcore.features.alerts.hooks import AlertHooks
from rtcore.features.alerts.rule import AlertRule
from rtcore.features.feature import Publisher
from rtcore.values.events import Json, Lane

__all__ = ["CHANNEL", "AlertEvent", "Announcement", "Announcer"]

_logger = logging.getLogger(__name__)

CHANNEL: Final = "alerts"
"""Where all events of alerts are."""


class AlertEvent(StrEnum):
    """Types of events on `alerts`."""

    TRIGGERED = "alert_triggered"
    ACKNOWLEDGED = "alert_acknowledged"
    RESOLVED = "alert_resolved"
    SILENCE_ENDED = "alert_silence_ended"
    """An alert that a silence held back is still firing, and is told now."""
    SILENCED = "alert_silenced"
    DELIVERY_FAILED = "alert_delivery_failed"
    HOOK_FAILED = "alert_hook_failed"
    RULE_ADDED = "alert_rule_added"
    RULE_REMOVED = "alert_rule_removed"


_URGENT: Final = frozenset({AlertEvent.TRIGGERED, AlertEvent.SILENCE_ENDED})
"""Events of the high lane: nothing that waits holds them up."""
_HOOKED: Final = frozenset({AlertEvent.TRIGGERED, AlertEvent.ACKNOWLEDGED, AlertEvent.RESOLVED})
"""What hooks are called for: a silence is for people, so its end is no news to them."""


@frozen(kw_only=True)
class Announcement:
    """Something that became of an alert."""

    event: AlertEvent
    alert: Alert
    rule: AlertRule
    tell: bool
    """Whether targets are told, too."""


@define(eq=False)
class Announcer:
    """Tells everybody whom an announcement is for."""

    publisher: Publisher
    targets: Targets
    deliveries: Deliveries = field(repr=False)
    hooks: AlertHooks = field(repr=False)

    def deliveries_for(self, announcement: Announcement) -> list[Delivery]:
        """The notifications that go out with an announcement, to be kept before it is made."""
        if not announcement.tell:
            return []
        resolved = announcement.event is AlertEvent.RESOLVED
        event = AlertEvent.RESOLVED if resolved else AlertEvent.TRIGGERED
        notification = Notification(event=event.value, alert=announcement.alert)
        targets = self.targets.of(announcement.rule.body.channels)
        return [Delivery(target=target, notification=notification) for target in targets]

    def announce(self, announcement: Announcement, deliveries: list[Delivery], nursery: trio.Nursery) -> None:
        """Tell it; never blocks."""
        alert, channels = announcement.alert, announcement.rule.body.channels
        if DASHBOARD in channels:
            self.publish(announcement.event, alert.document())
        if announcement.event in _HOOKED:
            self.hooks.start(alert, nursery)
        for delivery in deliveries:
            self.deliveries.enqueue(delivery, nursery)
        if announcement.tell:
            for channel in self.targets.idle(channels):
                self._say_failed(alert, channel, "no target of this kind is set")

    def resume(self, delivery: Delivery, nursery: trio.Nursery) -> None:
        """Go on with a delivery of an earlier process; one whose target is gone ends here."""
        self.deliveries.enqueue(delivery, nursery)

    def publish(self, event: AlertEvent, data: Json) -> None:
        """Publish an event on `alerts`; where that cannot be, the log has it, and everything else goes on."""
        try:
            self.publisher.publish(CHANNEL, event.value, data, lane=Lane.HIGH if event in _URGENT else Lane.NORMAL)
        except (RequestError, HubClosed) as error:  # no room for another channel, for instance
            _logger.error("%s could not be published: %s", event.value, error)

    def say_delivery_failed(self, delivery: Delivery, failure: DeliveryFailed) -> None:
        """Publish that a notification was given up."""
        self._say_failed(delivery.notification.alert, delivery.target, str(failure))

    def say_hook_failed(self, alert: Alert, hook: str, words: str) -> None:
        """Publish that a hook failed."""
        ids: dict[str, Json] = {"alert_id": alert.id, "rule_id": alert.rule_id, "rule": alert.rule}
        self.publish(AlertEvent.HOOK_FAILED, {**ids, "hook": hook, "error": words})

    def _say_failed(self, alert: Alert, target: str, words: str) -> None:
        ids: dict[str, Json] = {"alert_id": alert.id, "rule_id": alert.rule_id, "rule": alert.rule}
        self.publish(AlertEvent.DELIVERY_FAILED, {**ids, "target": target, "error": words})
