"""
Settings of alerts: who may manage them, and where they are told.

Only the operator says where notifications go. A rule names targets by their names here and never an address, so whoever
may manage rules cannot make the server connect anywhere.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from attrs import field, frozen

from rtcore.features.alerts.templates import unknown_names
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
    table,
    text,
    whole,
)
from rtcore.values.secret import Secret

__all__ = [
    "KINDS",
    "TEXT_NAMES",
    "AlertSettings",
    "EmailTarget",
    "SlackTarget",
    "SmsTarget",
    "WebhookTarget",
]

KINDS: Final = ("webhook", "slack", "sms", "email")
"""Channels of a rule that mean every target of their kind; beside them, `dashboard` and the names of targets."""
TEXT_NAMES: Final = ("alert_id", "rule", "severity", "state", "condition", "message", "values", "started_at")
"""What the templates of the settings may name."""

_TAKEN_NAMES: Final = (*KINDS, "dashboard")
_TARGET_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})", re.ASCII)
_MAILBOX: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}", re.ASCII)
_PHONE: Final = re.compile(r"\+?[0-9]{3,20}", re.ASCII)
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", re.ASCII)


def _secret(value: str | Secret | None) -> Secret | None:
    return Secret(value) if isinstance(value, str) else value


def _secrets(value: Mapping[str, str | Secret]) -> Mapping[str, Any]:
    return {name: _secret(item) for name, item in value.items()} if isinstance(value, Mapping) else value


def _is_url(value: object) -> bool:
    if not isinstance(value, Secret) or not value.reveal().isascii() or not value.reveal().isprintable():
        return False
    try:
        parts = urlsplit(value.reveal())
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    return (
        parts.scheme in ("http", "https")
        and (_HOST.fullmatch(host) is not None or _is_ipv6(host))
        and port != 0
        and "@" not in parts.netloc
        and not parts.fragment
        and " " not in value.reveal()
        and "\\" not in value.reveal()
    )


def _is_ipv6(value: str) -> bool:
    try:
        return ipaddress.ip_address(value).version == 6 and "%" not in value
    except ValueError:
        return False


def _is_template(value: str) -> bool:
    try:
        return bool(value) and not unknown_names(value, TEXT_NAMES)
    except ValueError:
        return False


_URL: Final = Rule("an http or https URL in ASCII, without user, password and fragment", _is_url, True)
_HEADER: Final = Rule(
    "a header value", lambda value: isinstance(value, Secret) and bool(_HEADER_VALUE.fullmatch(value.reveal())), True
)
_ANY_SECRET: Final = Rule(
    "text that is not empty", lambda value: isinstance(value, Secret) and value.reveal() != "", True
)
_TEXT_SECRET: Final = Rule("text", lambda value: isinstance(value, Secret), True)
_TEMPLATE: Final = text(f"text in which $ stands only before {', '.join(TEXT_NAMES)}", _is_template)


@frozen(kw_only=True)
class WebhookTarget:
    """A URL that alerts are posted to as JSON."""

    url: Secret = field(converter=_secret, validator=_URL)
    """Where to; a secret, since such URLs often hold one."""
    signing_key: Secret | None = field(default=None, converter=_secret, validator=optional(_ANY_SECRET))
    """Key of the HMAC-SHA256 in `X-Rtcore-Signature`; None: requests are not signed."""
    authorization: Secret | None = field(default=None, converter=_secret, validator=optional(_HEADER))
    """Value of the `Authorization` header, such as `Bearer ...`; None: there is none."""


@frozen(kw_only=True)
class SlackTarget:
    """An incoming webhook of Slack, or of what takes the same."""

    url: Secret = field(converter=_secret, validator=_URL)
    """The webhook's URL; whoever knows it can post."""


@frozen(kw_only=True)
class SmsTarget:
    """A gateway that sends text messages for HTTP requests: one request a recipient."""

    url: Secret = field(converter=_secret, validator=_URL)
    """Where to post."""
    recipients: tuple[str, ...] = field(
        converter=items,
        validator=each(text('a telephone number such as "+15550100"', lambda value: bool(_PHONE.fullmatch(value)))),
    )
    """Telephone numbers."""
    authorization: Secret | None = field(default=None, converter=_secret, validator=optional(_HEADER))
    """Value of the `Authorization` header; None: there is none."""
    format: Literal["json", "form"] = field(default="json", validator=one_of("json", "form"))
    """How the body is written: a JSON object, or a form (`application/x-www-form-urlencoded`)."""
    to_field: str = field(default="to", validator=text())
    """Name of the field with the number."""
    text_field: str = field(default="text", validator=text())
    """Name of the field with the text."""
    fields: Mapping[str, Secret] = field(
        factory=dict,
        converter=_secrets,
        validator=table("a table of texts", text(), _TEXT_SECRET, secret=True),
    )
    """Further fields as the gateway wants them, such as its key or a sender's name."""
    text_length: int = field(default=160, validator=whole(20, 1600))
    """Longest text, in characters; the rest is cut off. 160 is what one message holds."""


@frozen(kw_only=True)
class EmailTarget:
    """A mail server, and who gets mail over it."""

    host: str = field(validator=text("a host name or address", lambda v: bool(_HOST.fullmatch(v)) or _is_ipv6(v)))
    """The server."""
    sender: str = field(validator=text("a mail address in ASCII", lambda value: bool(_MAILBOX.fullmatch(value))))
    """Address that the mail is from."""
    recipients: tuple[str, ...] = field(
        converter=items,
        validator=each(text("a mail address in ASCII", lambda value: bool(_MAILBOX.fullmatch(value)))),
    )
    """Addresses that it goes to, in one mail."""
    port: int | None = field(default=None, validator=optional(whole(1, 65535)))
    """TCP port; None: 587, 465 or 25, by `security`."""
    security: Literal["starttls", "tls", "none"] = field(
        default="starttls", validator=one_of("starttls", "tls", "none")
    )
    """TLS after `STARTTLS`, which the server must offer; from the first byte; or not at all."""
    username: str | None = field(default=None, validator=optional(text()))
    """Who logs in; None: nobody."""
    password: Secret | None = field(default=None, converter=_secret, validator=optional(_ANY_SECRET))
    """Their password."""
    subject: str = field(default="[$severity] $rule $state", validator=_TEMPLATE)
    """Template of the subject."""

    def __attrs_post_init__(self) -> None:
        """Refuse a login that is half there, or that would go over the wire in the clear."""
        if (self.username is None) != (self.password is None):
            raise ValueError("expected username and password, or neither of them")
        if self.username is not None and self.security == "none":
            raise ValueError('expected security "starttls" or "tls" where there is a password')
        if not self.recipients:
            raise ValueError("expected at least one recipient")


def _targets(kind: type) -> Any:  # Any: attrs field specifiers are typed so
    words = f"letters, digits, _ . -, at most 64, and none of dashboard, {', '.join(KINDS)}"
    rule = table(
        f"a table by name: {words}",
        text(f"a name of {words}", lambda name: bool(_TARGET_NAME.fullmatch(name)) and name not in _TAKEN_NAMES),
        Rule("a table of settings", lambda value: isinstance(value, kind), True),
        secret=True,
    )
    return field(factory=dict, validator=rule)


@frozen(kw_only=True)
class AlertSettings:
    """How alerts are managed and told."""

    roles: frozenset[str] = field(
        default=frozenset({"admin", "alert_manager"}), converter=name_set, validator=each(text())
    )
    """Roles of which one is needed to add and remove rules, to acknowledge and to silence."""
    webhooks: Mapping[str, WebhookTarget] = _targets(WebhookTarget)
    """Webhooks by name. The names of all targets are different."""
    slack: Mapping[str, SlackTarget] = _targets(SlackTarget)
    """Slack's incoming webhooks by name."""
    sms: Mapping[str, SmsTarget] = _targets(SmsTarget)
    """Gateways for text messages by name."""
    email: Mapping[str, EmailTarget] = _targets(EmailTarget)
    """Mail servers and their recipients by name."""
    template: str = field(default="[$severity] $rule $state: $message", validator=_TEMPLATE)
    """Template of what Slack, SMS and mail say."""
    allow_private_addresses: bool = field(
        default=False, validator=Rule("true or false", lambda value: isinstance(value, bool))
    )
    """Whether targets may be at any address; otherwise only at public ones, and in `allowed_networks`."""
    allowed_networks: tuple[str, ...] = field(
        default=(), converter=items, validator=each(network("10.0.0.25/32"))
    )
    """Networks besides the public ones that targets may be in."""
    ca_file: Path | None = field(default=None, validator=optional(file_path()))
    """PEM file with the authorities that are trusted for TLS; None: the system's."""
    send_seconds: float = field(default=10.0, validator=number(over=True))
    """Longest time of one attempt, from looking up the name to the answer."""
    attempts: int = field(default=5, validator=whole(1, 20))
    """Attempts before a notification is given up."""
    retry_seconds: float = field(default=1.0, validator=number(over=True))
    """Longest pause after the first attempt; it doubles with each. The pause is drawn from its upper half."""
    retry_most_seconds: float = field(default=300.0, validator=number(over=True))
    """Longest pause of all, also where a target asks for a longer one."""
    hook_seconds: float = field(default=10.0, validator=number(over=True))
    """How long a hook may take before it is cancelled."""
    resolved_alerts: int = field(default=100, validator=whole(0))
    """Resolved alerts that are still listed, the newest."""

    def __attrs_post_init__(self) -> None:
        """Refuse a name that two targets have: a rule could mean either."""
        seen: set[str] = set()
        for name in (*self.webhooks, *self.slack, *self.sms, *self.email):
            if name in seen:
                raise ValueError(f'expected different names of all targets, got "{name}" twice')
            seen.add(name)
