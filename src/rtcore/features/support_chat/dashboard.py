"""What a dashboard says and is sent: its message names and fields, as those that are in use have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attrs import frozen

from rtcore.features.support_chat.outlook import Outlook, SessionQuery
from rtcore.features.support_chat.settings import SupportChatSettings
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.dialect import Dialect
from rtcore.values.identity import Identity

__all__ = ["Watched", "dashboard_dialect"]


@frozen(kw_only=True)
class _Nothing:
    """A request without data."""


class Watched(Protocol):
    """What dashboards look at."""

    def outlook(self, identity: Identity) -> Outlook:
        """What somebody sees."""

    def watch(self, context_now: Callable[[], CommandContext]) -> None:
        """Tell a dashboard how many wait, whenever that changes."""


def dashboard_dialect(chat: Watched, settings: SupportChatSettings, channels: tuple[str, ...]) -> Dialect:
    """
    The dialect `support_chat`.

    Args:
        chat: What is looked at.
        settings: Times.
        channels: Templates of the channels that a dashboard listens to, as far as it may.
    """

    def session(context: CommandContext, command: SessionQuery) -> Reply:
        return Reply("session_update", chat.outlook(context.identity).session(command, path="data."))

    def queue(context: CommandContext, command: _Nothing) -> Reply:
        return Reply("queue_updated", chat.outlook(context.identity).queue())

    def metrics(context: CommandContext, command: _Nothing) -> Reply:
        return Reply("metrics_updated", chat.outlook(context.identity).metrics())

    def sessions(context: CommandContext, command: _Nothing) -> Reply:
        return Reply("active_sessions_updated", chat.outlook(context.identity).sessions())

    commands: dict[str, CommandRule[Any]] = {
        "request_session_update": CommandRule(value=SessionQuery, handler=session),
        "request_queue_update": CommandRule(value=_Nothing, handler=queue),
        "request_metrics_update": CommandRule(value=_Nothing, handler=metrics),
        "request_sessions_update": CommandRule(value=_Nothing, handler=sessions),
    }
    return Dialect(
        greet=lambda greeting: None,  # the first message is `auth_success`
        commands=commands,
        begin=chat.watch,
        schedules={
            "request_metrics_update": settings.metrics_seconds,
            "request_queue_update": settings.queue_seconds,
            "request_sessions_update": settings.sessions_seconds,
        },
        optional_channels=channels,
        announces=False,
    )
