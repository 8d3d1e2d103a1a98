"""What can be set of features: one field a feature, each with the defaults of its system."""

from __future__ import annotations

from attrs import Factory, field, frozen, validators

from rtcore.features.activity.settings import ActivitySettings
from rtcore.features.alerts.settings import AlertSettings
from rtcore.features.outputs.settings import OutputSettings
from rtcore.features.support_chat.settings import SupportChatSettings

__all__ = ["FeatureSettings"]


@frozen(kw_only=True)
class FeatureSettings:
    """Settings of all features; `[features.NAME]` in a file."""

    activity: ActivitySettings = field(
        default=Factory(ActivitySettings), validator=validators.instance_of(ActivitySettings)
    )
    """Of the activity timeline."""
    alerts: AlertSettings = field(default=Factory(AlertSettings), validator=validators.instance_of(AlertSettings))
    """Who may manage alerts, and where they are told."""
    outputs: OutputSettings = field(
        default=Factory(OutputSettings), validator=validators.instance_of(OutputSettings)
    )
    """Of outputs that can be resumed."""
    support_chat: SupportChatSettings = field(
        default=Factory(SupportChatSettings), validator=validators.instance_of(SupportChatSettings)
    )
    """Of support chat."""
