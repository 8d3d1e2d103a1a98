"""
Endpoints as settings: where they are, who may connect, what they begin with, and what their clients call things.

The built-in ones serve the systems that rtcore was made for, side by side; `[profiles.NAME]` changes one of them or
adds another. Nothing is held or run for an endpoint that nobody is connected to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from attrs import evolve, field, fields, frozen

from rtcore.values.channels import channel_part, check_channel_name
from rtcore.values.rules import Rule, each, items, number, one_of, optional, table, text, whole

__all__ = ["BUILT_IN_PROFILES", "WEB_PATH", "ProfileSettings", "all_profiles"]

WEB_PATH: Final = re.compile(r"/|(?:/[A-Za-z0-9_.~-]+)+")
"""A path that an endpoint may have. At `/`, what asks for no WebSocket still goes to the HTTP side."""

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


def _is_template(value: str) -> bool:
    part = channel_part("@")  # some names are written so, and no channel may begin with that
    try:
        return bool(check_channel_name(value.replace("{user}", part).replace("{workspace}", part)))
    except ValueError:
        return False


_NAMES: Final = table("a table of names by names", text(), text())
_PATH: Final = text('a path such as "/ws/mobile"', lambda value: not value or bool(WEB_PATH.fullmatch(value)))
_SECONDS: Final = optional(number(over=True))


@frozen(kw_only=True)
class ProfileSettings:
    """One WebSocket endpoint."""

    path: str = field(default="", validator=_PATH)
    """Where it is. One of your own needs a path."""
    enabled: bool = field(default=True, validator=Rule("true or false", lambda value: isinstance(value, bool)))
    """Whether it is there at all."""
    dialect: str = field(default="rtcore", validator=text())
    """What its clients speak: `rtcore`, or the name of a dialect that a feature brings: `activity`, `dashboard`,
    `support_chat`."""
    authentication: Literal["inherit", "required", "none"] = field(
        default="inherit", validator=one_of("inherit", "required", "none")
    )
    """`inherit`: tokens are needed where the server has keys. `required`: without keys the server does not start.
    `none`: everyone is let in, without an identity, even where the server has keys; there without a role or a
    workspace."""
    channels: tuple[str, ...] = field(
        default=(),
        converter=items,
        validator=each(text('a channel such as "inbox:{user}", which does not begin with a name', _is_template)),
    )
    """Channels that each client is subscribed to at once; `{user}` and `{workspace}` stand for its own, as
    `channel_part` writes them; none begins with one of them, since such a part may begin with `~`."""
    commands: Mapping[str, str] = field(default=_NONE, validator=_NAMES)
    """What its clients call commands, to what rtcore calls them."""
    replies: Mapping[str, str] = field(default=_NONE, validator=_NAMES)
    """What rtcore calls its replies, to what its clients call them."""
    events: Mapping[str, str] = field(default=_NONE, validator=_NAMES)
    """What types of events are, to what its clients call them."""
    schedules: Mapping[str, float] = field(
        default=_NONE, validator=table("a table of seconds over 0 by command", text(), number(over=True))
    )
    """Commands without data that are carried out for each client every so many seconds, as though it had asked."""
    authentication_seconds: float | None = field(default=None, validator=_SECONDS)
    """Time to send `auth`; None: as in `limits`."""
    idle_seconds: float | None = field(default=None, validator=optional(number()))
    """Silence after which a client is closed; 0: never. None: as in `limits`."""
    heartbeat_seconds: float | None = field(default=None, validator=_SECONDS)
    """How often clients are asked to send a heartbeat; None: as the server's."""
    connections: int | None = field(default=None, validator=optional(whole(1)))
    """Most connections here at once; the next is answered 503. None: only `limits.connections` counts, for all."""

    def over(self, base: ProfileSettings) -> ProfileSettings:
        """These settings, with those of `base` where these were left at their defaults."""
        untouched = ProfileSettings()
        chosen: dict[str, Any] = {  # Any: fields of several types
            each.name: getattr(self, each.name)
            for each in fields(ProfileSettings)
            if getattr(self, each.name) != getattr(untouched, each.name)
        }
        return evolve(base, **chosen)


BUILT_IN_PROFILES: Final[Mapping[str, ProfileSettings]] = MappingProxyType(
    {
        "activity": ProfileSettings(
            path="/ws/activity", dialect="activity", channels=("activity", "workspace_activity:{workspace}")
        ),
        "dashboard": ProfileSettings(path="/dashboard/ws", dialect="dashboard", connections=100),
        "metrics": ProfileSettings(
            path="/ws/metrics",
            channels=(
                "streams",
                "streams:cpu",
                "streams:memory",
                "streams:disk",
                "streams:network",
                "streams:agent_performance",
                "streams:cost",
                "streams:user_activity",
            ),
        ),
        "stream": ProfileSettings(path="/ws/stream"),
        "approvals": ProfileSettings(path="/ws/approvals", channels=("approvals:{workspace}",)),
        "support_chat": ProfileSettings(
            path="/api/v1/admin/chat-dashboard/ws", dialect="support_chat", idle_seconds=300.0
        ),
    }
)
"""Endpoints that every server has unless `enabled = false`."""


def all_profiles(given: Mapping[str, ProfileSettings]) -> dict[str, ProfileSettings]:
    """The endpoints that are enabled, by name: the built-in ones as they were changed, and those of the settings."""
    profiles = dict(BUILT_IN_PROFILES)
    for name, profile in given.items():
        profiles[name] = profile.over(profiles[name]) if name in profiles else profile
    return {name: profile for name, profile in profiles.items() if profile.enabled}
