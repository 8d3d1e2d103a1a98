"""What can be set of features: one field a feature, each with the defaults of its system."""

from __future__ import annotations

from attrs import Factory, field, frozen, validators

from rtcore.features.activity.settings import ActivitySettings
from rtcore.features.alerts.settings import AlertSettings
from rtcore.features.approvals.settings import ApprovalSettings
from rtcore.features.delivery_queue.settings import QueueSettings
from rtcore.features.metric_streams.settings import MetricSettings
from rtcore.features.notifications.settings import NotificationSettings
from rtcore.features.outputs.settings import OutputSettings
from rtcore.features.presence.settings import PresenceSettings
from rtcore.features.support_chat.settings import SupportChatSettings
from rtcore.features.typing.settings import TypingSettings

__all__ = ["FeatureSettings"]


@frozen(kw_only=True)
class FeatureSettings:
    """Settings of all features; `[features.NAME]` in a file."""

    activity: ActivitySettings = field(
        default=Factory(ActivitySettings), validator=validators.instance_of(ActivitySettings)
    )
    """Of the activity timeline."""
    approvals: ApprovalSettings = field(
        default=Factory(ApprovalSettings), validator=validators.instance_of(ApprovalSettings)
    )
    """Who asks and decides, and how long approvals stay."""
    alerts: AlertSettings = field(default=Factory(AlertSettings), validator=validators.instance_of(AlertSettings))
    """Who may manage alerts, and where they are told."""
    notifications: NotificationSettings = field(
        default=Factory(NotificationSettings), validator=validators.instance_of(NotificationSettings)
    )
    """Of notifications, to users and workspaces."""
    metrics: MetricSettings = field(default=Factory(MetricSettings), validator=validators.instance_of(MetricSettings))
    """Of metric streams."""
    outputs: OutputSettings = field(
        default=Factory(OutputSettings), validator=validators.instance_of(OutputSettings)
    )
    """Of outputs that can be resumed."""
    support_chat: SupportChatSettings = field(
        default=Factory(SupportChatSettings), validator=validators.instance_of(SupportChatSettings)
    )
    """Of support chat."""
    presence: PresenceSettings = field(
        default=Factory(PresenceSettings), validator=validators.instance_of(PresenceSettings)
    )
    """Who is present in a workspace."""
    typing: TypingSettings = field(default=Factory(TypingSettings), validator=validators.instance_of(TypingSettings))
    """Who is writing in a conversation."""
    queues: QueueSettings = field(default=Factory(QueueSettings), validator=validators.instance_of(QueueSettings))
    """Of delivery queues."""
