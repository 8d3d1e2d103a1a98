"""
What a token's claims must be. The signature was verified before; nothing here decides whether to trust them.

The checks are rtcore's own and not the JWT library's, for two reasons: they take the time from the caller, so that a
test turns the clock, and they are strict about types, where the library takes the text "5" for a number.

Source: RFC 7519, section 4.1; RFC 8725, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from rtcore.errors import AuthenticationError, ErrorCode
from rtcore.server.settings import AuthenticationSettings
from rtcore.values.identity import Identity

__all__ = ["identity_from_claims"]

_NAME_LENGTH: Final = 255
"""Longest user, workspace, role or token id, in characters: that of a channel's name, which may carry one."""


def identity_from_claims(claims: Mapping[str, Any], settings: AuthenticationSettings, now: float) -> Identity:
    """
    The identity that verified claims stand for.

    Args:
        claims: The claims of a token whose signature was verified.
        settings: Names of claims, issuer, audience, leeway.
        now: The time, in Unix seconds.

    Raises:
        AuthenticationError: If a claim is missing, of the wrong type or not for this server, or the time is not within
            its bounds. The message names the claim and never its value.
    """
    expires_at = _check_times(claims, settings, now)
    _check_issuer(claims, settings.issuer)
    _check_audience(claims, settings.audience)
    user = _name(claims, settings.user_claim)
    if user is None:
        raise AuthenticationError(f"the token has no {settings.user_claim}")
    return Identity(
        user=user,
        workspace=_name(claims, settings.workspace_claim),
        roles=_roles(claims, settings.roles_claim),
        token_id=_name(claims, "jti"),
        expires_at=expires_at,
        issued_at=_time(claims, "iat"),
    )


def _check_times(claims: Mapping[str, Any], settings: AuthenticationSettings, now: float) -> float | None:
    leeway = settings.leeway_seconds
    expires_at, not_before, issued_at = (_time(claims, name) for name in ("exp", "nbf", "iat"))
    if expires_at is None and settings.require_expiry:
        raise AuthenticationError("the token has no exp")
    if expires_at is not None and now >= expires_at + leeway:
        raise AuthenticationError("the token has expired", code=ErrorCode.TOKEN_EXPIRED)
    if not_before is not None and now < not_before - leeway:
        raise AuthenticationError("the token is not valid yet")
    if issued_at is not None and now < issued_at - leeway:
        raise AuthenticationError("the token was issued in the future")
    return expires_at


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        raise AuthenticationError(f"the token's {name} is not a time")
    return float(value)


def _check_issuer(claims: Mapping[str, Any], issuer: str | None) -> None:
    if issuer is not None and claims.get("iss") != issuer:
        raise AuthenticationError("the token is from another issuer")


def _check_audience(claims: Mapping[str, Any], audience: tuple[str, ...]) -> None:
    value = claims.get("aud")
    named = [value] if isinstance(value, str) else value
    if named is None and not audience:
        return
    if not isinstance(named, list) or not any(isinstance(name, str) and name in audience for name in named):
        raise AuthenticationError("the token is for another audience")


def _name(claims: Mapping[str, Any], claim: str) -> str | None:
    value = claims.get(claim)
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= _NAME_LENGTH or not value.isprintable():
        raise AuthenticationError(f"the token's {claim} is not text of 1 to {_NAME_LENGTH} printable characters")
    return value


def _roles(claims: Mapping[str, Any], claim: str) -> frozenset[str]:
    value = claims.get(claim)
    if value is None:
        return frozenset()
    roles = value.split(" ") if isinstance(value, str) else value
    if not isinstance(roles, list) or not all(isinstance(role, str) and role.isprintable() for role in roles):
        raise AuthenticationError(f"the token's {claim} is not a list of texts, nor text with spaces between")
    return frozenset(role for role in roles if role)
