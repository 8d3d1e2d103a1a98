"""Which feature has which HTTP side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from rtcore.features.activity.activities import Activities
from rtcore.features.alerts.alerts import Alerts
from rtcore.features.approvals.approvals import Approvals
from rtcore.features.delivery_queue.delivery_queues import DeliveryQueues
from rtcore.features.metric_streams.metric_streams import MetricStreams
from rtcore.features.notifications.notifications import Notifications
from rtcore.features.presence.presence import Presence
from rtcore.features.support_chat.support_chat import SupportChat
from rtcore.hub.registry import FeatureRegistry
from rtcore.server.rest import (
    activity,
    alerts,
    approvals,
    dashboard,
    delivery_queue,
    notifications,
    presence,
    support_chat,
)
from rtcore.server.rest.rest_module import RestModule

__all__ = ["rest_modules"]

_MODULES: Final[Mapping[type, Callable[[Any], RestModule]]] = MappingProxyType(  # Any: each takes its key
    {
        Activities: activity.rest_module,
        Approvals: approvals.rest_module,
        Presence: presence.rest_module,
        Alerts: alerts.rest_module,
        Notifications: notifications.rest_module,
        SupportChat: support_chat.rest_module,
        MetricStreams: dashboard.rest_module,
        DeliveryQueues: delivery_queue.rest_module,
    }
)


def rest_modules(registry: FeatureRegistry) -> tuple[RestModule, ...]:
    """The HTTP side of every feature that has been joined and has one."""
    found = ((registry.find(kind), make) for kind, make in _MODULES.items())
    return tuple(make(feature) for feature, make in found if feature is not None)
