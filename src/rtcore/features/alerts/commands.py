"""What clients may ask of alerts: `alert.acknowledge`, `alert.silence`, `alert.list`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from attrs import frozen

from rtcore.features.alerts.alert import Alert
from rtcore.features.alerts.rule import DAYS_30
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.protocol.wire_fields import text, whole_number, wire
from rtcore.values.events import Json

__all__ = ["Acknowledge", "AlertPort", "ListAlerts", "Silence", "alert_commands"]


@frozen(kw_only=True)
class Acknowledge:
    """Somebody knows of an alert."""

    alert_id: str = wire(text(64))
    note: str | None = wire(text(1000), default=None)


@frozen(kw_only=True)
class Silence:
    """A rule's alerts are not to be told for a while."""

    rule_id: str = wire(text(64))
    duration: int = wire(whole_number(0, DAYS_30))
    """From now, in milliseconds; 0 ends a silence."""


@frozen(kw_only=True)
class ListAlerts:
    """What there is."""


class AlertPort(Protocol):
    """What the commands need of the feature."""

    async def acknowledge(self, alert_id: str, *, by: str = "", note: str | None = None) -> Alert: ...

    async def silence(self, rule_id: str, seconds: float, *, by: str = "") -> dict[str, Json]: ...

    def overview(self) -> dict[str, Json]: ...


def alert_commands(
    alerts: AlertPort, channel: str, roles: frozenset[str]
) -> Mapping[str, CommandRule[Any]]:  # Any: each of a class of its own
    """The commands by message type; those that change something need one of the roles."""

    async def acknowledge(context: CommandContext, command: Acknowledge) -> Reply:
        alert = await alerts.acknowledge(command.alert_id, by=context.identity.user, note=command.note)
        return Reply("alert.acknowledged", alert.document(), unasked=False)

    async def silence(context: CommandContext, command: Silence) -> Reply:
        silenced = await alerts.silence(command.rule_id, command.duration / 1000, by=context.identity.user)
        return Reply("alert.silenced", silenced, unasked=False)

    def list_alerts(context: CommandContext, _command: ListAlerts) -> Reply:
        context.hub.access.check_read(context.identity, channel)
        return Reply("alert.list", alerts.overview())

    def changing(kind: type, handler: Callable[[CommandContext, Any], Awaitable[Reply]]) -> CommandRule[Any]:
        return CommandRule(value=kind, handler=handler, roles=roles)

    return {
        "alert.acknowledge": changing(Acknowledge, acknowledge),
        "alert.silence": changing(Silence, silence),
        "alert.list": CommandRule(value=ListAlerts, handler=list_alerts),
    }
