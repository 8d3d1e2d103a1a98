"""
rtcore: the real-time core for Python.

    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
        server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=8080))

Names are imported when they are first used, so that a client does not load the server, nor a server the client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from rtcore.values.version import VERSION as __version__

if TYPE_CHECKING:
    from rtcore.application import ApplicationHub, open_hub
    from rtcore.client import (
        Client,
        ClientSettings,
        ClientState,
        DroppedNotice,
        ReceivedEvent,
        RecoveryNotice,
        connect,
    )
    from rtcore.errors import (
        AuthenticationError,
        ConnectionClosed,
        ErrorCode,
        HubClosed,
        OutputCancelled,
        OutputFailed,
        ProcessFailed,
        ProcessNotStarted,
        RequestError,
        RtcoreError,
        ServerError,
        SettingsError,
        StoreError,
    )
    from rtcore.features.activity.activity import Activity
    from rtcore.features.activity.settings import ActivitySettings
    from rtcore.features.activity.timeline import ActivityQuery
    from rtcore.features.alerts.alert import Alert, AlertState, Severity
    from rtcore.features.alerts.settings import AlertSettings, EmailTarget, SlackTarget, SmsTarget, WebhookTarget
    from rtcore.features.approvals.approval import Approval, Approvers, Decision
    from rtcore.features.approvals.settings import ApprovalSettings
    from rtcore.features.delivery_queue.delivery_queue import DeadJob, DeliveryQueue
    from rtcore.features.delivery_queue.holding import HeldJob
    from rtcore.features.delivery_queue.job import Receipt
    from rtcore.features.delivery_queue.settings import QueueSettings
    from rtcore.features.feature import Feature
    from rtcore.features.metric_streams.metric_streams import MetricStreams
    from rtcore.features.metric_streams.observing import SampleObserver
    from rtcore.features.metric_streams.settings import MetricSettings
    from rtcore.features.metric_streams.stream import StreamState, StreamStatistics
    from rtcore.features.notifications.notification import Action, Notification
    from rtcore.features.notifications.sent import ProgressNotification, SentNotification
    from rtcore.features.notifications.settings import NotificationSettings
    from rtcore.features.outputs.output import ItemOutput, TextOutput
    from rtcore.features.outputs.settings import OutputSettings
    from rtcore.features.presence.appearance import UserPresence
    from rtcore.features.presence.settings import PresenceSettings
    from rtcore.features.processes import ProcessResult
    from rtcore.features.settings import FeatureSettings
    from rtcore.features.support_chat.desk import Desk
    from rtcore.features.support_chat.settings import SupportChatSettings
    from rtcore.features.tasks import Task
    from rtcore.features.tools import Tool
    from rtcore.features.typing.settings import TypingSettings
    from rtcore.features.workflows import Workflow
    from rtcore.hub.command_context import CommandContext, Reply
    from rtcore.hub.command_rules import CommandRule
    from rtcore.hub.dialect import Dialect
    from rtcore.hub.hub import Hub
    from rtcore.hub.results import Batch, HistoryPage, PublishOutcome, Range
    from rtcore.hub.statistics import ChannelStatistics, HubStatistics, SubscriberStatistics
    from rtcore.hub.subscription import Subscription
    from rtcore.server.hooks import ConnectionHooks, ConnectionInfo
    from rtcore.server.profile_settings import ProfileSettings
    from rtcore.server.profiles import MessageHandler
    from rtcore.server.server import Server, serve
    from rtcore.server.settings import AuthenticationSettings, KeySettings, Settings, StoreSettings, TlsSettings
    from rtcore.store.memory_store import MemoryStore
    from rtcore.store.sqlite_store import open_sqlite_store
    from rtcore.store.store import Store
    from rtcore.values.channels import Namespace, Overflow, Scope, channel_part, name_of_part
    from rtcore.values.events import Event, Json, Lane
    from rtcore.values.identity import Identity
    from rtcore.values.limits import Limits
    from rtcore.values.opcodes import CloseCode
    from rtcore.values.positions import Position, Since, from_offset, from_position, last, since_timestamp, within

__all__ = [
    "Action",
    "Activity",
    "ActivityQuery",
    "ActivitySettings",
    "Alert",
    "AlertSettings",
    "AlertState",
    "ApplicationHub",
    "Approval",
    "ApprovalSettings",
    "Approvers",
    "AuthenticationError",
    "AuthenticationSettings",
    "Batch",
    "ChannelStatistics",
    "Client",
    "ClientSettings",
    "ClientState",
    "CloseCode",
    "CommandContext",
    "CommandRule",
    "ConnectionClosed",
    "ConnectionHooks",
    "ConnectionInfo",
    "DeadJob",
    "Decision",
    "DeliveryQueue",
    "Desk",
    "Dialect",
    "DroppedNotice",
    "EmailTarget",
    "ErrorCode",
    "Event",
    "Feature",
    "FeatureSettings",
    "HeldJob",
    "HistoryPage",
    "Hub",
    "HubClosed",
    "HubStatistics",
    "Identity",
    "ItemOutput",
    "Json",
    "KeySettings",
    "Lane",
    "Limits",
    "MemoryStore",
    "MessageHandler",
    "MetricSettings",
    "MetricStreams",
    "Namespace",
    "Notification",
    "NotificationSettings",
    "OutputCancelled",
    "OutputFailed",
    "OutputSettings",
    "Overflow",
    "Position",
    "PresenceSettings",
    "ProcessFailed",
    "ProcessNotStarted",
    "ProcessResult",
    "ProfileSettings",
    "ProgressNotification",
    "PublishOutcome",
    "QueueSettings",
    "Range",
    "Receipt",
    "ReceivedEvent",
    "RecoveryNotice",
    "Reply",
    "RequestError",
    "RtcoreError",
    "SampleObserver",
    "Scope",
    "SentNotification",
    "Server",
    "ServerError",
    "Settings",
    "SettingsError",
    "Severity",
    "Since",
    "SlackTarget",
    "SmsTarget",
    "Store",
    "StoreError",
    "StoreSettings",
    "StreamState",
    "StreamStatistics",
    "SubscriberStatistics",
    "Subscription",
    "SupportChatSettings",
    "Task",
    "TextOutput",
    "TlsSettings",
    "Tool",
    "TypingSettings",
    "UserPresence",
    "WebhookTarget",
    "Workflow",
    "__version__",
    "channel_part",
    "connect",
    "from_offset",
    "from_position",
    "last",
    "name_of_part",
    "open_hub",
    "open_sqlite_store",
    "serve",
    "since_timestamp",
    "within",
]

_HOMES: Final = {
    "rtcore.application": ("ApplicationHub", "open_hub"),
    "rtcore.client": (
        "Client",
        "ClientSettings",
        "ClientState",
        "DroppedNotice",
        "ReceivedEvent",
        "RecoveryNotice",
        "connect",
    ),
    "rtcore.errors": (
        "AuthenticationError",
        "ConnectionClosed",
        "ErrorCode",
        "HubClosed",
        "OutputCancelled",
        "OutputFailed",
        "ProcessFailed",
        "ProcessNotStarted",
        "RequestError",
        "RtcoreError",
        "ServerError",
        "SettingsError",
        "StoreError",
    ),
    "rtcore.features.activity.activity": ("Activity",),
    "rtcore.features.activity.settings": ("ActivitySettings",),
    "rtcore.features.activity.timeline": ("ActivityQuery",),
    "rtcore.features.approvals.approval": ("Approval", "Approvers", "Decision"),
    "rtcore.features.approvals.settings": ("ApprovalSettings",),
    "rtcore.features.alerts.alert": ("Alert", "AlertState", "Severity"),
    "rtcore.features.alerts.settings": (
        "AlertSettings",
        "EmailTarget",
        "SlackTarget",
        "SmsTarget",
        "WebhookTarget",
    ),
    "rtcore.features.delivery_queue.delivery_queue": ("DeadJob", "DeliveryQueue"),
    "rtcore.features.delivery_queue.holding": ("HeldJob",),
    "rtcore.features.delivery_queue.job": ("Receipt",),
    "rtcore.features.delivery_queue.settings": ("QueueSettings",),
    "rtcore.features.feature": ("Feature",),
    "rtcore.features.notifications.notification": ("Action", "Notification"),
    "rtcore.features.notifications.sent": ("ProgressNotification", "SentNotification"),
    "rtcore.features.notifications.settings": ("NotificationSettings",),
    "rtcore.features.outputs.output": ("ItemOutput", "TextOutput"),
    "rtcore.features.outputs.settings": ("OutputSettings",),
    "rtcore.features.presence.appearance": ("UserPresence",),
    "rtcore.features.presence.settings": ("PresenceSettings",),
    "rtcore.features.metric_streams.metric_streams": ("MetricStreams",),
    "rtcore.features.metric_streams.observing": ("SampleObserver",),
    "rtcore.features.metric_streams.settings": ("MetricSettings",),
    "rtcore.features.metric_streams.stream": ("StreamState", "StreamStatistics"),
    "rtcore.features.processes": ("ProcessResult",),
    "rtcore.features.settings": ("FeatureSettings",),
    "rtcore.features.support_chat.desk": ("Desk",),
    "rtcore.features.support_chat.settings": ("SupportChatSettings",),
    "rtcore.features.tasks": ("Task",),
    "rtcore.features.tools": ("Tool",),
    "rtcore.features.typing.settings": ("TypingSettings",),
    "rtcore.features.workflows": ("Workflow",),
    "rtcore.hub.command_context": ("CommandContext", "Reply"),
    "rtcore.hub.command_rules": ("CommandRule",),
    "rtcore.hub.dialect": ("Dialect",),
    "rtcore.hub.hub": ("Hub",),
    "rtcore.hub.results": ("Batch", "HistoryPage", "PublishOutcome", "Range"),
    "rtcore.hub.statistics": ("ChannelStatistics", "HubStatistics", "SubscriberStatistics"),
    "rtcore.hub.subscription": ("Subscription",),
    "rtcore.server.hooks": ("ConnectionHooks", "ConnectionInfo"),
    "rtcore.server.profile_settings": ("ProfileSettings",),
    "rtcore.server.profiles": ("MessageHandler",),
    "rtcore.server.server": ("Server", "serve"),
    "rtcore.server.settings": ("AuthenticationSettings", "KeySettings", "Settings", "StoreSettings", "TlsSettings"),
    "rtcore.store.memory_store": ("MemoryStore",),
    "rtcore.store.sqlite_store": ("open_sqlite_store",),
    "rtcore.store.store": ("Store",),
    "rtcore.values.channels": ("Namespace", "Overflow", "Scope", "channel_part", "name_of_part"),
    "rtcore.values.events": ("Event", "Json", "Lane"),
    "rtcore.values.identity": ("Identity",),
    "rtcore.values.limits": ("Limits",),
    "rtcore.values.opcodes": ("CloseCode",),
    "rtcore.values.positions": (
        "Position",
        "Since",
        "from_offset",
        "from_position",
        "last",
        "since_timestamp",
        "within",
    ),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name from its home."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'rtcore' has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
