"""From the channels that a rule names to what sends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import define, field

from rtcore.features.alerts.channels.addresses import AddressPolicy
from rtcore.features.alerts.channels.notification import Sender
from rtcore.features.alerts.settings import KINDS, AlertSettings

__all__ = ["DASHBOARD", "Targets", "open_targets"]

DASHBOARD = "dashboard"
"""The channel that is an event to subscribers, and needs no target."""


@define(eq=False)
class Targets:
    """Every way out that the settings have."""

    senders: Mapping[str, Sender]
    """By target; a target with several recipients that are told one by one is several: `name/1`, `name/2` ..."""
    names: Mapping[str, tuple[str, ...]] = field(factory=dict)
    """The senders of each channel that a rule may name: a kind, or a target's name."""

    def known(self) -> list[str]:
        """What a rule may name."""
        return [DASHBOARD, *self.names]

    def of(self, channels: Iterable[str]) -> list[str]:
        """The senders of some channels, each once."""
        return list(dict.fromkeys(sender for channel in channels for sender in self.names.get(channel, ())))

    def idle(self, channels: Iterable[str]) -> list[str]:
        """Those channels over which nothing goes out, because there is no target of their kind."""
        return [channel for channel in channels if channel != DASHBOARD and not self.names.get(channel)]


def open_targets(settings: AlertSettings, policy: AddressPolicy | None = None) -> Targets:
    """
    The targets of the settings; nothing is connected yet.

    The HTTP and mail libraries are imported only where there is a target: most hubs have none.
    """
    policy = policy or AddressPolicy(
        allow_private=settings.allow_private_addresses, allowed_networks=settings.allowed_networks
    )
    by_kind = {"webhook": settings.webhooks, "slack": settings.slack, "sms": settings.sms, "email": settings.email}
    senders = _make_senders(settings, policy) if any(by_kind.values()) else {}
    names: dict[str, tuple[str, ...]] = {}
    for targets in by_kind.values():
        for name in targets:
            names[name] = tuple(key for key in senders if key == name or key.startswith(f"{name}/"))
    kinds = {kind: tuple(key for name in by_kind[kind] for key in names[name]) for kind in KINDS}
    return Targets(senders, kinds | names)


def _make_senders(settings: AlertSettings, policy: AddressPolicy) -> dict[str, Sender]:
    from rtcore.features.alerts.channels.email import EmailSender
    from rtcore.features.alerts.channels.http_post import HttpPoster
    from rtcore.features.alerts.channels.webhook import SlackSender, SmsSender, WebhookSender

    ca_file = None if settings.ca_file is None else str(settings.ca_file)
    poster = HttpPoster(policy, seconds=settings.send_seconds, ca_file=ca_file)
    senders: dict[str, Sender] = {}
    for name, webhook in settings.webhooks.items():
        senders[name] = WebhookSender(webhook, poster)
    for name, slack in settings.slack.items():
        senders[name] = SlackSender(slack, poster, settings.template)
    for name, sms in settings.sms.items():
        for number, recipient in enumerate(sms.recipients, 1):
            senders[f"{name}/{number}"] = SmsSender(sms, poster, settings.template, recipient)
    for name, email in settings.email.items():
        senders[name] = EmailSender(email, policy, settings.template, settings.send_seconds, ca_file)
    return senders
