"""
What a server is told: one frozen tree, whether it is built in code or read from a file, the environment and flags.

    rtcore.Settings(port=9000, limits=rtcore.Limits(connections=5000))

`settings_sources.load_settings` reads the same tree from outside. `docs/settings.md` lists every field.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from attrs import Factory, field, frozen, validators

from rtcore.errors import SettingsError
from rtcore.features.metric_streams.settings import BUILT_IN_STREAMS
from rtcore.features.settings import FeatureSettings
from rtcore.server.profile_settings import BUILT_IN_PROFILES, WEB_PATH, ProfileSettings
from rtcore.values.channels import Namespace, check_channel_name
from rtcore.values.limits import Limits
from rtcore.values.rules import (
    Rule,
    each,
    file_path,
    items,
    name_set,
    network,
    number,
    one_of,
    optional,
    show_setting,
    table,
    text,
    whole,
)
from rtcore.values.secret import Secret

__all__ = [
    "SECRET_BYTES",
    "Algorithm",
    "AuthenticationSettings",
    "KeySettings",
    "Settings",
    "StoreSettings",
    "TlsSettings",
    "check_conflicts",
    "check_exposure",
    "is_loopback",
]

Algorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]
"""Signature algorithms of tokens. Source: RFC 7518, section 3.1; RFC 8037, section 3.1."""

SECRET_BYTES: Final = 32
"""Least length of an HS256 secret, in bytes: that of its hash. Source: RFC 7518, section 3.2."""

_ORIGIN: Final = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/?#@\s]+", re.IGNORECASE)


def _secret(value: str | Secret | None) -> Secret | None:
    return Secret(value) if isinstance(value, str) else value


def _is_namespace(name: str) -> bool:
    try:
        return ":" not in check_channel_name(name)
    except ValueError:
        return False


def _is_profiles(value: object) -> bool:
    return isinstance(value, Mapping) and not any(_profile_faults(value))


def _profile_faults(profiles: object) -> Iterator[tuple[str | int, str]]:
    for name, profile in profiles.items() if isinstance(profiles, Mapping) else ():
        if not isinstance(profile, ProfileSettings):
            yield name, f"expected a table of settings, got {show_setting(profile)}"
        elif not profile.path and name not in BUILT_IN_PROFILES:
            yield name, f"expected a path, since only {', '.join(sorted(BUILT_IN_PROFILES))} are built in"


_NAMESPACES: Final = table(
    "a table of namespaces, each name that of a channel and without a colon",
    text("a name that a channel may have, without a colon", _is_namespace),
    Rule("a table of options", lambda value: isinstance(value, Namespace)),
)
_PROFILES: Final = Rule(
    "a table of profiles, those that are not built in with a path", _is_profiles, parts=_profile_faults
)
_ANY_SECRET: Final = Rule("text", lambda value: isinstance(value, Secret), True)
_LONG_SECRET: Final = Rule(
    f"a secret of at least {SECRET_BYTES} bytes",
    lambda value: isinstance(value, Secret) and len(value.reveal().encode()) >= SECRET_BYTES,
    True,
)


_CLOSE_CODE: Final = Rule(
    "1001, 1012, 1013 or a code from 4000 to 4999",
    lambda value: type(value) is int and (value in (1001, 1012, 1013) or 4000 <= value <= 4999),
)


def _flag(default: bool = False) -> Any:  # Any: attrs field specifiers are typed so
    return field(default=default, validator=Rule("true or false", lambda value: isinstance(value, bool)))


@frozen(kw_only=True)
class KeySettings:
    """
    A key that tokens are verified with, and the one algorithm it is for.

    Exactly one of `secret`, `secret_file`, `public_key` and `key_set` says where the key is.
    """

    algorithm: Algorithm = field(validator=one_of("HS256", "RS256", "ES256", "EdDSA"))
    """The only algorithm that this key is used with, whatever a token's header says."""
    id: str | None = field(default=None, validator=optional(text()))
    """The `kid` of tokens signed with this key; None: the key's name in the settings."""
    secret: Secret | None = field(default=None, converter=_secret, validator=optional(_LONG_SECRET))
    """HS256: the shared secret, at least 32 bytes of UTF-8."""
    secret_file: Path | None = field(default=None, validator=optional(file_path()))
    """HS256: a file that holds the shared secret; white space at both its ends is not part of it."""
    public_key: Path | None = field(default=None, validator=optional(file_path()))
    """RS256, ES256, EdDSA: a PEM file with the public key."""
    key_set: Path | None = field(default=None, validator=optional(file_path()))
    """A JSON Web Key Set file: every key in it that is for this algorithm. Source: RFC 7517."""

    def __attrs_post_init__(self) -> None:
        """Refuse a key with no place, with two, or with a place that its algorithm has no use for."""
        given = [name for name in ("secret", "secret_file", "public_key", "key_set") if getattr(self, name) is not None]
        allowed = ("secret", "secret_file", "key_set") if self.algorithm == "HS256" else ("public_key", "key_set")
        if len(given) != 1 or given[0] not in allowed:
            raise ValueError(
                f"expected exactly one of {', '.join(allowed)} for {self.algorithm}, got {', '.join(given) or 'none'}"
            )


def _is_keys(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(key, KeySettings) for key in value.values())


@frozen(kw_only=True)
class AuthenticationSettings:
    """How a JSON Web Token becomes an identity."""

    keys: Mapping[str, KeySettings] = field(validator=Rule("a table of at least one key", _is_keys, True))
    """Keys by name. A token with a `kid` is verified with that key alone, one without with each of its algorithm."""
    issuer: str | None = field(default=None, validator=optional(text()))
    """The `iss` that a token must have; None: any."""
    audience: tuple[str, ...] = field(default=(), converter=items, validator=each(text()))
    """One of these must be in a token's `aud`; while there are none, a token that names an audience is refused."""
    leeway_seconds: float = field(default=10.0, validator=number())
    """Difference of clocks that `exp`, `nbf` and `iat` allow for."""
    require_expiry: bool = _flag(True)
    """Whether a token without `exp` is refused: it could be used for ever by whoever finds it."""
    token_bytes: int = field(default=8192, validator=whole(256))
    """Longest token that is looked at, in bytes: checked before anything is decoded."""
    user_claim: str = field(default="sub", validator=text())
    """The claim that names the user; text, required."""
    workspace_claim: str = field(default="workspace", validator=text())
    """The claim that names the workspace; text, may be missing."""
    roles_claim: str = field(default="roles", validator=text())
    """The claim that lists the roles: a list of texts, or one text with spaces between; may be missing."""
    revocations: int = field(default=10_000, validator=whole(1))
    """Most revocations kept at once; further ones are refused rather than an older one forgotten."""
    revocation_seconds: float = field(default=2_592_000.0, validator=number(over=True))
    """How long a revocation is kept when the end of the token is not known: at least the longest life of a token."""


@frozen(kw_only=True)
class TlsSettings:
    """The server's own certificate. TLS needs both files."""

    certificate: Path = field(validator=file_path())
    """PEM file with the certificate and those that lead to the root."""
    key: Path = field(validator=file_path())
    """PEM file with the private key of the certificate."""
    key_password: Secret | None = field(default=None, converter=_secret, validator=optional(_ANY_SECRET))
    """Password of the private key, when it has one."""
    minimum_version: Literal["1.2", "1.3"] = field(default="1.2", validator=one_of("1.2", "1.3"))
    """Oldest version of TLS that is spoken; 1.0 and 1.1 are deprecated. Source: RFC 8996."""


@frozen(kw_only=True)
class StoreSettings:
    """Where features keep what must survive a restart."""

    path: Path = field(validator=file_path())
    """The SQLite file; made where it is missing."""
    synchronous: Literal["full", "normal"] = field(default="full", validator=one_of("full", "normal"))
    """`full`: what was acknowledged survives a power cut. `normal`: it survives the end of the process; cheaper."""


@frozen(kw_only=True)
class Settings:
    """Everything that a server is told."""

    host: str = field(default="127.0.0.1", validator=text())
    """Address or name to listen on; `0.0.0.0` and `::` are every address of the machine."""
    port: int = field(default=8080, validator=whole(0, 65535))
    """TCP port; 0: one that the system chooses."""
    path: str = field(default="/ws", validator=text('a path such as "/ws"', lambda v: bool(WEB_PATH.fullmatch(v))))
    """Where WebSocket connections are accepted."""
    listen_backlog: int = field(default=1024, validator=whole(1))
    """Connections that the system may hold until they are accepted; it may hold fewer."""
    limits: Limits = field(default=Factory(Limits), validator=validators.instance_of(Limits))
    """The bounds of every connection, channel and request."""
    namespaces: Mapping[str, Namespace] = field(
        factory=dict, validator=_NAMESPACES
    )
    """Options of the channels whose names begin with the table's name."""
    profiles: Mapping[str, ProfileSettings] = field(
        factory=dict, validator=_PROFILES
    )
    """Endpoints of your own, and changes to those that are built in, by name."""
    store: StoreSettings | None = field(
        default=None, validator=validators.optional(validators.instance_of(StoreSettings))
    )
    """The file for what must survive a restart; None: it is kept in memory."""
    features: FeatureSettings = field(
        default=Factory(FeatureSettings), validator=validators.instance_of(FeatureSettings)
    )
    """What is set of the features."""
    authentication: AuthenticationSettings | None = field(
        default=None, validator=validators.optional(validators.instance_of(AuthenticationSettings))
    )
    """How tokens are verified; None: nobody needs one."""
    allow_anonymous: bool = _flag()
    """Whether the server may listen beyond loopback without authentication. No effect where tokens are required."""
    anonymous_roles: frozenset[str] = field(
        default=frozenset({"publisher"}), converter=name_set, validator=each(text())
    )
    """Roles of a connection without a token, where none is needed."""
    tls: TlsSettings | None = field(default=None, validator=validators.optional(validators.instance_of(TlsSettings)))
    """The server's certificate; None: plain TCP."""
    origins: tuple[str, ...] = field(
        default=(),
        converter=items,
        validator=each(text('"*" or an origin such as "https://app.example"', lambda v: bool(_ORIGIN.fullmatch(v)))),
    )
    """Origins besides the server's own whose pages may connect; `*`: all."""
    trusted_proxies: tuple[str, ...] = field(
        default=(), converter=items, validator=each(network("10.0.0.0/8"))
    )
    """Networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""
    compression: Literal["none", "fast", "default", "best"] = field(
        default="default", validator=one_of("none", "fast", "default", "best")
    )
    """Effort of permessage-deflate for clients that offer it."""
    heartbeat_seconds: float = field(default=30.0, validator=number(over=True))
    """How often a client is asked to send a heartbeat; told in `welcome`."""
    retry_after_seconds: float = field(default=5.0, validator=number())
    """What a client is told to wait, at least, that finds no room or a server that stops."""
    drain_jitter_seconds: float = field(default=5.0, validator=number())
    """Longest time over which a server that stops spreads its close frames, so that not all clients come back at once.

    It ends 1.5 s before `limits.drain_seconds` do, and is no longer than one second for 200 connections asks for.
    """
    drain_close_code: int = field(default=1012, validator=_CLOSE_CODE)
    """Close code of a server that stops. 1012: service restart."""
    echo: bool = _flag()
    """Whether `/echo` sends each message back; for conformance suites."""
    demo: bool = _flag()
    """Whether the server publishes the machine's own metrics and a workflow of real commands, on a loop."""
    metrics_public: bool = _flag()
    """Whether `/metrics` and the statistics are answered without a token where tokens are required."""
    log_level: Literal["debug", "info", "warning", "error"] = field(
        default="info", validator=one_of("debug", "info", "warning", "error")
    )
    """Least weight of what is logged."""

    @property
    def exposed(self) -> bool:
        """Whether other machines can reach the server."""
        return not is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address; of names, only `localhost` is known to be so."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_exposure(settings: Settings) -> None:
    """
    Refuse to open a server to other machines without authentication unless that is what was asked for.

    Raises:
        SettingsError: With what to do about it.
    """
    if settings.exposed and settings.authentication is None and not settings.allow_anonymous:
        raise SettingsError(
            f'$.host: "{settings.host}" can be reached from other machines, and no authentication is set. '
            "Set a key under [authentication.keys], or listen on 127.0.0.1, or let everyone in with --allow-anonymous "
            "(allow_anonymous = true)."
        )


def check_conflicts(settings: Settings) -> None:
    """
    Refuse settings that are right one by one and wrong together.

    Raises:
        SettingsError: With one line per fault.
    """
    limits = settings.limits
    no_more = (
        (
            "limits.request_line_bytes",
            limits.request_line_bytes,
            "limits.request_head_bytes",
            limits.request_head_bytes,
        ),
        ("limits.batch_events", limits.batch_events, "limits.batch_events_maximum", limits.batch_events_maximum),
        ("limits.batch_seconds", limits.batch_seconds, "limits.batch_seconds_maximum", limits.batch_seconds_maximum),
    )
    faults = [
        f"$.{name}: expected at most {bound:g} ({bound_name}), got {value:g}"
        for name, value, bound_name, bound in no_more
        if value > bound
    ]
    streams = len(BUILT_IN_STREAMS | settings.features.metrics.client_streams)
    if streams > limits.metric_streams:
        faults.append(
            f"$.limits.metric_streams: expected at least {streams} (those of every hub, and "
            f"features.metrics.client_streams), got {limits.metric_streams}"
        )
    if faults:
        raise SettingsError("\n".join(faults))
