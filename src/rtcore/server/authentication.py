"""
Tokens become identities here, and nowhere else.

A JSON Web Token is refused before anything in it is believed: by its length, by its form, by header fields that would
let it choose its own key, and by an algorithm that is not the key's. Only then is the signature verified, and only then
are the claims read. No message, log line or exception holds a token, a claim's value or a key.

Source: RFC 7519; RFC 8725 (best practices); RFC 6750, section 2.1 (the header).
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

import jwt

from rtcore.errors import AuthenticationError, ErrorCode, RequestError, SettingsError
from rtcore.protocol.json_codec import json_loads
from rtcore.server.claims import identity_from_claims
from rtcore.server.keys import VerificationKey, load_keys, load_private_key
from rtcore.server.revocation import RevocationList
from rtcore.server.settings import AuthenticationSettings, KeySettings
from rtcore.values.identity import Identity

__all__ = ["Authenticator", "bearer_token", "issue_token"]

# Three parts of base64url without padding. The library accepts padding too, so one token had several spellings.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)

_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.ASCII | re.IGNORECASE)

_CLAIM_DEPTH: Final = 16
"""Deepest nesting of claims."""

_REFUSED_HEADERS: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"})
"""Fields by which a token brings its own key or asks for other rules than those it is verified with."""


class Authenticator:
    """
    Verifies tokens with the keys of the settings.

    Args:
        settings: Keys and claims.
        revocations: What was revoked; None: nothing ever is.
        clock: Source of the time, in Unix seconds.

    Raises:
        SettingsError: If a key cannot be read.
    """

    def __init__(
        self,
        settings: AuthenticationSettings,
        *,
        revocations: RevocationList | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.revocations = revocations
        self._clock = clock
        self._keys = load_keys(settings.keys)
        self._verifier = jwt.PyJWS(algorithms=sorted({key.algorithm for key in settings.keys.values()}))

    def reload(self) -> None:
        """
        Read the keys again from their files.

        Raises:
            SettingsError: If one cannot be read; the keys from before stay in use.
        """
        self._keys = load_keys(self.settings.keys)

    def authenticate(self, token: str) -> Identity:
        """
        The identity of a token's bearer.

        Does not block: nothing but computation, about 60 us for HS256 and up to 150 us for the others (measured).

        Raises:
            AuthenticationError: With `access.token_expired`, `access.token_revoked`, or `access.authentication_failed`
                for all else.
        """
        claims = self._verify(token)
        identity = identity_from_claims(claims, self.settings, self._clock())
        if self.revocations is not None and self.revocations.is_revoked(identity):
            raise AuthenticationError("the token was revoked", code=ErrorCode.TOKEN_REVOKED)
        return identity

    def _verify(self, token: str) -> dict[str, Any]:
        header = self._check_form(token)
        for key in self._candidates(header):
            try:
                payload = self._verifier.decode(token, key.material, algorithms=[key.algorithm])
            except jwt.PyJWTError:
                continue
            return _claims(payload)
        raise AuthenticationError("the token's signature is not by a key of this server") from None

    def _check_form(self, token: str) -> dict[str, Any]:
        if len(token) > self.settings.token_bytes:
            raise AuthenticationError(f"token of {len(token)} bytes exceeds token_bytes={self.settings.token_bytes}")
        if not _TOKEN.fullmatch(token):
            raise AuthenticationError("not a token")
        try:
            header = self._verifier.get_unverified_header(token)
        except jwt.PyJWTError:
            raise AuthenticationError("not a token") from None  # the cause may quote it
        if not _REFUSED_HEADERS.isdisjoint(header):
            raise AuthenticationError(f"the token's header must have none of {', '.join(sorted(_REFUSED_HEADERS))}")
        return header

    def _candidates(self, header: dict[str, Any]) -> list[VerificationKey]:
        """The keys that the header allows: the one it names, or all of its algorithm when it names none."""
        identifier, algorithm = header.get("kid"), header.get("alg")
        keys = [key for key in self._keys if key.algorithm == algorithm]
        return keys if identifier is None else [key for key in keys if key.id == identifier]


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = json_loads(payload, _CLAIM_DEPTH)
    except RequestError as error:
        raise AuthenticationError("the token's claims are not JSON, or nested too deep") from error
    if not isinstance(claims, dict):
        raise AuthenticationError("the token's claims are not a JSON object")
    return claims


def bearer_token(value: str) -> str:
    """
    The token of an `Authorization` header's value.

    Raises:
        AuthenticationError: If the value is not `Bearer` and one token; the message does not repeat it.

    Source: RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1).
    """
    match = _BEARER.fullmatch(value)
    if match is None:
        raise AuthenticationError("the Authorization header is not a Bearer token")
    return match[1]


def issue_token(
    settings: AuthenticationSettings,
    *,
    user: str,
    roles: Collection[str] = (),
    workspace: str | None = None,
    seconds: float = 3600.0,
    key: str | None = None,
    private_key: Path | None = None,
    private_key_password: str | None = None,
    token_id: str | None = None,
    now: float | None = None,
) -> str:
    """
    A token that a server with these settings accepts.

    Args:
        settings: Those of the server.
        user: Subject of the token.
        roles: Its roles.
        workspace: Its workspace.
        seconds: How long it is valid.
        key: Name of the key in the settings; None: the only one.
        private_key: PEM file of the private key, for every algorithm but HS256, whose secret is in the settings.
        private_key_password: Password of that file.
        token_id: Its `jti`, by which it can be revoked; None: a random one.
        now: Time of issue, in Unix seconds; None: now.

    Raises:
        SettingsError: If there is no such key, or it cannot sign.
        AuthenticationError: If the server would not accept the token, and why: a wrong private key, for instance.
    """
    issued_at = int(time.time() if now is None else now)
    claims: dict[str, Any] = {
        settings.user_claim: user,
        settings.roles_claim: sorted(roles),
        "iat": issued_at,
        "exp": issued_at + max(1, int(seconds)),
        "jti": token_id or secrets.token_hex(12),
    }
    if workspace is not None:
        claims[settings.workspace_claim] = workspace
    if settings.issuer is not None:
        claims["iss"] = settings.issuer
    if settings.audience:
        claims["aud"] = settings.audience[0]
    name, chosen = _choose_key(settings, key)
    headers = None if chosen.key_set is not None else {"kid": chosen.id or name}
    signing_key = _signing_key(name, chosen, private_key, private_key_password)
    token = jwt.encode(claims, signing_key, algorithm=chosen.algorithm, headers=headers)
    Authenticator(settings, clock=lambda: float(issued_at)).authenticate(token)
    return token


def _choose_key(settings: AuthenticationSettings, name: str | None) -> tuple[str, KeySettings]:
    names = ", ".join(settings.keys)
    if name is None:
        if len(settings.keys) != 1:
            raise SettingsError(f"$.authentication.keys: more than one; say which: {names}")
        return next(iter(settings.keys.items()))
    if name not in settings.keys:
        raise SettingsError(f"$.authentication.keys: no key of that name; there are: {names}")
    return name, settings.keys[name]


def _signing_key(
    name: str, chosen: KeySettings, private_key: Path | None, password: str | None
) -> Any:  # Any: bytes or a private key, by algorithm
    path = f"$.authentication.keys.{name}"
    if chosen.algorithm != "HS256":
        if private_key is None:
            raise SettingsError(f"{path}: a token for {chosen.algorithm} needs the private key's file")
        return load_private_key(private_key, chosen.algorithm, password.encode() if password else None)
    if chosen.key_set is not None:
        raise SettingsError(f"{path}: tokens cannot be signed with a key set; give the secret itself")
    return load_keys({name: chosen})[0].material
