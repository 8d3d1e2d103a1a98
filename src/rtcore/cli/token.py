"""`rtcore token`: a token that the server with the same settings accepts."""

from __future__ import annotations

import argparse
import secrets
import time
from pathlib import Path
from typing import Any

import jwt

from rtcore.cli.moments import duration
from rtcore.cli.settings_options import add_settings_arguments, settings_of
from rtcore.errors import AuthenticationError, SettingsError
from rtcore.server.claims import identity_from_claims
from rtcore.server.keys import load_keys, load_private_key
from rtcore.server.settings import AuthenticationSettings, KeySettings

__all__ = ["add_arguments", "run"]

_HOW = (
    "$.authentication: no key to sign with. Set one in a file (--config) or in the environment, such as\n"
    '  export RTCORE_AUTHENTICATION__KEYS__MAIN=\'{"algorithm": "HS256"}\'\n'
    "  export RTCORE_AUTHENTICATION__KEYS__MAIN__SECRET=$(openssl rand -hex 32)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("--user", required=True, metavar="NAME", help="whose token it is")
    parser.add_argument(
        "--role", action="append", default=[], metavar="ROLE", help="may be repeated; publisher and admin may publish"
    )
    parser.add_argument("--workspace", metavar="NAME", help="the workspace that the user belongs to")
    parser.add_argument("--expires", type=_life, default=3600.0, metavar="DURATION", help="life of the token [1h]")
    parser.add_argument(
        "--key", metavar="NAME", help="which key of the settings signs [the only one, or the first HS256]"
    )
    parser.add_argument(
        "--private-key",
        type=Path,
        metavar="FILE",
        help="PEM private key, for RS256, ES256 and EdDSA: settings have none",
    )
    add_settings_arguments(parser)
    parser.epilog = (
        "The secret comes from the settings, never from an argument: everyone on the machine can read those."
    )


def run(options: argparse.Namespace) -> int:
    """
    Print a token.

    Raises:
        SettingsError: If there is no key to sign with, or a name is none that a server accepts.
    """
    authentication = settings_of(options).authentication
    if authentication is None:
        raise SettingsError(_HOW)
    name, key = _choose(authentication, options.key)
    signing, identifier = _signing_key(name, key, options.private_key)
    headers = None if identifier is None else {"kid": identifier}
    claims = _claims(options, authentication)
    try:
        identity_from_claims(claims, authentication, claims["iat"])
    except AuthenticationError as error:
        raise SettingsError(f"no server would accept it: {error}") from None
    print(jwt.encode(claims, signing, algorithm=key.algorithm, headers=headers))
    return 0


def _life(text: str) -> float:
    seconds = duration(text)
    if seconds < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1s, got {text!r}")
    return seconds


def _choose(authentication: AuthenticationSettings, wanted: str | None) -> tuple[str, KeySettings]:
    keys = authentication.keys
    if wanted is not None:
        if wanted not in keys:
            raise SettingsError(f"--key: no key {wanted!r} in the settings; there is {', '.join(sorted(keys))}")
        return wanted, keys[wanted]
    return next(((name, key) for name, key in keys.items() if key.algorithm == "HS256"), next(iter(keys.items())))


def _signing_key(name: str, key: KeySettings, file: Path | None) -> tuple[Any, str | None]:  # Any
    if key.algorithm != "HS256":
        if file is None:
            raise SettingsError(f"--private-key: needed, because $.authentication.keys.{name} is for {key.algorithm}")
        # Of a set nobody knows here which one it is: without an id the server tries all that are for the algorithm.
        return load_private_key(file, key.algorithm), None if key.key_set is not None else key.id or name
    if file is not None:
        raise SettingsError(f"--private-key: of no use, because $.authentication.keys.{name} is for HS256")
    loaded = load_keys({name: key})
    return loaded[0].material, loaded[0].id


def _claims(options: argparse.Namespace, authentication: AuthenticationSettings) -> dict[str, Any]:
    now = int(time.time())
    claims: dict[str, Any] = {
        authentication.user_claim: options.user,
        authentication.roles_claim: options.role,
        "iat": now,
        "exp": now + int(options.expires),
        "jti": secrets.token_hex(16),
    }
    if options.workspace is not None:
        claims[authentication.workspace_claim] = options.workspace
    if authentication.issuer is not None:
        claims["iss"] = authentication.issuer
    if authentication.audience:
        claims["aud"] = authentication.audience[0]
    return claims
