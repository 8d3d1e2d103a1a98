"""From the settings of endpoints to the profiles that serve them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from attrs import evolve

from rtcore.hub.dialect import RTCORE, Dialect
from rtcore.server.conversation import Converser
from rtcore.server.profile_settings import ProfileSettings, all_profiles
from rtcore.server.profiles import Profile
from rtcore.server.settings import Settings
from rtcore.values.limits import Limits

__all__ = ["make_profiles"]

_T = TypeVar("_T")
_OWN_LIMITS = ("authentication_seconds", "idle_seconds")


def make_profiles(settings: Settings, converser: Converser) -> Iterator[Profile]:
    """
    The endpoints of a server that speak `rtcore.v1` or a dialect of it.

    Args:
        settings: Of the server, as `check_profiles` lets them pass.
        converser: Serves those that have nothing special.
    """
    yield Profile(path=settings.path, dialect="rtcore", conversation=converser.converse)
    dialects = {"rtcore": RTCORE, **converser.hub.registry.dialects}
    for profile in all_profiles(settings.profiles).values():
        if profile.dialect not in dialects:
            continue  # built in, and the hub has no such feature
        yield _make_profile(profile, dialects[profile.dialect], settings, converser)


def _make_profile(profile: ProfileSettings, dialect: Dialect, settings: Settings, converser: Converser) -> Profile:
    anonymous = profile.authentication == "none"
    conversing = evolve(
        converser,
        authenticator=None if anonymous else converser.authenticator,
        heartbeat_seconds=profile.heartbeat_seconds or converser.heartbeat_seconds,
        dialect=_dialect_of(profile, dialect),
    )
    return Profile(
        path=profile.path,
        dialect=profile.dialect,
        conversation=conversing.converse,
        anonymous=anonymous,
        limits=_limits_of(profile, settings.limits),
        connections=profile.connections,
        event_names=tuple(sorted(profile.events.items())),
    )


def _dialect_of(profile: ProfileSettings, base: Dialect) -> Dialect:
    return evolve(
        base,
        aliases=_merged(base.aliases, profile.commands),
        replies=_merged(base.replies, profile.replies),
        schedules=_merged(base.schedules, profile.schedules),
        channels=profile.channels or base.channels,
    )


def _merged(base: Mapping[str, _T], own: Mapping[str, _T]) -> Mapping[str, _T]:
    return {**base, **own} if own else base


def _limits_of(profile: ProfileSettings, limits: Limits) -> Limits | None:
    own = {name: value for name in _OWN_LIMITS if (value := getattr(profile, name)) is not None}
    return evolve(limits, **own) if own else None
