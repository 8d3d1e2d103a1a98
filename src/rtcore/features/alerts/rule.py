"""
A rule: what a client says of it, checked, and with its condition read.

    {"name": "High CPU Usage", "condition": "cpu_utilization > 0.8", "severity": "high",
     "channels": ["dashboard", "webhook"], "cooldown": 300000}

Times are in milliseconds on the wire.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from attrs import field, frozen

from rtcore.errors import ConditionError, ErrorCode, RequestError
from rtcore.features.alerts.alert import Severity
from rtcore.features.alerts.expression import Expression, field_needs
from rtcore.features.alerts.parsing import parse_condition
from rtcore.features.alerts.rule_state import Timing
from rtcore.features.alerts.settings import TEXT_NAMES
from rtcore.features.alerts.templates import unknown_names
from rtcore.protocol.command_fields import read_text
from rtcore.protocol.wire_fields import flag, items, nested, one_of, read_object, text, whole_number, wire
from rtcore.values.events import Json, format_timestamp
from rtcore.values.limits import Limits

__all__ = ["DAYS_30", "MESSAGE_LENGTH", "AbsentRule", "AlertRule", "RuleBody", "check_reads", "check_rule"]

DAYS_30: Final = 30 * 24 * 3600 * 1000
"""Longest time of a rule, in milliseconds."""
MESSAGE_LENGTH: Final = 1000
"""Longest message of a rule, and of an alert, in characters."""


@frozen(kw_only=True)
class AbsentRule:
    """What it means that no sample comes."""

    after: int = wire(whole_number(1000, DAYS_30))
    """Since the last sample that the rule reads, or since the rule was there, in milliseconds."""
    state: str = wire(one_of("firing", "resolved"))
    """What the condition then counts as: true, or false."""


@frozen(kw_only=True)
class RuleBody:
    """A rule as a client writes it."""

    name: str = wire(text(128))
    """Unlike that of any other rule."""
    condition: str = wire(read_text)
    """When it fires."""
    severity: str = wire(one_of(*Severity))
    channels: tuple[str, ...] = wire(items(text(64), 20, least=0), default=("dashboard",))
    """Where it is told: `dashboard`, a kind of target, or the name of one."""
    cooldown: int = wire(whole_number(0, DAYS_30), default=300_000)
    """Least time from one trigger to the next, in milliseconds."""
    hold: int = wire(whole_number(0, DAYS_30), name="for", default=0)
    """How long the condition must be true before the rule fires, in milliseconds."""
    stream: str | None = wire(text(255), default=None)
    """The one stream that its names are of; None: any."""
    message: str | None = wire(text(MESSAGE_LENGTH), default=None)
    """What to say, with `$names` of the condition's fields; None: condition and values."""
    absent: AbsentRule | None = wire(nested(AbsentRule), default=None)
    """None: nothing changes while no sample comes."""
    notify_resolved: bool = wire(flag, default=True)
    """Whether targets are told the end of an alert too."""

    def document(self) -> dict[str, Json]:
        """The body as JSON, such as `read_object` takes."""
        absent: Json = None if self.absent is None else {"after": self.absent.after, "state": self.absent.state}
        return {
            "name": self.name,
            "condition": self.condition,
            "severity": self.severity,
            "channels": list(self.channels),
            "cooldown": self.cooldown,
            "for": self.hold,
            "stream": self.stream,
            "message": self.message,
            "absent": absent,
            "notify_resolved": self.notify_resolved,
        }


@frozen(kw_only=True)
class AlertRule:
    """A rule that is in force."""

    id: str
    body: RuleBody
    condition: Expression = field(repr=False)
    created_at: float
    """In Unix seconds."""
    created_by: str
    """The user's name; empty for nobody in particular."""

    @property
    def timing(self) -> Timing:
        """Its times, in seconds."""
        return Timing(hold=self.body.hold / 1000, cooldown=self.body.cooldown / 1000)

    @property
    def message(self) -> str:
        """The template of what it says."""
        return self.body.message if self.body.message is not None else "$condition ($values)"

    def document(self) -> dict[str, Json]:
        """The rule as clients see it."""
        created: dict[str, Json] = {"created_at": format_timestamp(self.created_at), "created_by": self.created_by}
        return {"id": self.id, **self.body.document(), **created}

    def record(self) -> dict[str, Json]:
        """The rule as it is kept."""
        return {"body": self.body.document(), "created_at": self.created_at, "created_by": self.created_by}

    @classmethod
    def of_record(cls, rule_id: str, record: Mapping[str, Any], limits: Limits) -> AlertRule:
        """
        The rule that was kept so; its channels may be of targets that are gone.

        Raises:
            RequestError: It is none any more, since limits have been lowered.
            KeyError: It never was one.
        """
        body = read_object(record["body"], RuleBody)
        condition = check_rule(body, limits, known_channels=body.channels)
        return cls(id=rule_id, body=body, condition=condition, **{k: record[k] for k in ("created_at", "created_by")})


def check_rule(body: RuleBody, limits: Limits, *, known_channels: Collection[str]) -> Expression:
    """
    What reading field by field cannot check.

    Args:
        body: The rule.
        limits: Bounds of conditions.
        known_channels: What it may name as channels.

    Returns:
        The condition's tree.

    Raises:
        RequestError: With the path of the field; of a condition also with the column.
    """
    try:
        condition = parse_condition(body.condition, limits)
    except ConditionError as error:
        too_long = len(body.condition) > limits.alert_condition_length
        raise _wrong("condition", str(error), ErrorCode.TOO_LARGE if too_long else ErrorCode.MALFORMED) from error
    for index, channel in enumerate(body.channels):
        if channel not in known_channels:
            # Not repeated: it may be the address of a webhook, which is as good as a key.
            raise _wrong(f"channels[{index}]", f"unknown channel; there are {', '.join(sorted(known_channels))}")
    if body.message is not None:
        _check_message(body.message, [*TEXT_NAMES, *field_needs(condition)])
    return condition


def check_reads(condition: Expression) -> None:
    """
    Refuse a condition that reads nothing: no sample would ever have it asked.

    A rule that was kept is not held to this: who wants to be rid of it must be able to remove it.

    Raises:
        RequestError: With the column.
    """
    if not field_needs(condition):
        words = ConditionError("expected a field to be compared, such as cpu_utilization > 0.8, got only constants", 1)
        raise _wrong("condition", str(words))


def _check_message(message: str, known: Collection[str]) -> None:
    allowed = [name for name in known if name != "message"]
    try:
        unknown = unknown_names(message, allowed)
    except ValueError as error:
        raise _wrong("message", str(error)) from error
    if unknown:
        raise _wrong("message", f'unknown name "${unknown[0]}"; there are {", ".join(allowed)}')


def _wrong(path: str, message: str, code: ErrorCode = ErrorCode.MALFORMED) -> RequestError:
    return RequestError(code, f"{path}: {message}", field=path)
