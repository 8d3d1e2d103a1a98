"""One time that a rule fired: what is published, listed, sent out and kept over a restart."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import attrs
from attrs import field, frozen

from rtcore.features.alerts.evaluation import Scalar
from rtcore.features.alerts.templates import fill
from rtcore.features.failure import bounded_text
from rtcore.values.events import Json, format_timestamp

__all__ = ["Alert", "AlertState", "Severity", "shown_value"]

_VALUE_BYTES: Final = 200  # of a text that an alert repeats


class Severity(StrEnum):
    """How bad it is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class AlertState(StrEnum):
    """Where an alert stands."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    """It is still true, and somebody has said that they know."""
    RESOLVED = "resolved"


def _bounded(values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Text as JSON can carry it: what an application observes may hold more than that."""
    return {
        name: bounded_text(value, _VALUE_BYTES) if isinstance(value, str) else value for name, value in values.items()
    }


@frozen(kw_only=True)
class Alert:
    """One time that a rule fired."""

    id: str
    rule_id: str
    rule: str
    """The rule's name."""
    severity: Severity = field(converter=Severity)
    condition: str
    message: str
    """What the rule has to say, with the values of the moment when it fired."""
    values: Mapping[str, Scalar] = field(converter=_bounded)
    """The fields that the condition names, when it fired; None: not known then."""
    started_at: float
    """When it fired, in Unix seconds."""
    state: AlertState = field(default=AlertState.FIRING, converter=AlertState)
    silenced: bool = False
    """Whether it came while its rule was silenced, and has not been told outside."""
    acknowledged_by: str | None = None
    acknowledged_at: float | None = None
    note: str | None = None
    """What the acknowledging user had to say."""
    resolved_at: float | None = None

    def document(self) -> dict[str, Json]:
        """The alert as clients see it: times are RFC 3339."""
        document: dict[str, Any] = attrs.asdict(self)
        document["alert_id"] = document.pop("id")
        document["severity"], document["state"] = self.severity.value, self.state.value
        for name in ("started_at", "acknowledged_at", "resolved_at"):
            value = document[name]
            document[name] = None if value is None else format_timestamp(value)
        return document

    def record(self) -> dict[str, Json]:
        """The alert as it is kept."""
        record: dict[str, Json] = attrs.asdict(self)
        return record

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Alert:
        """
        The alert that was kept so.

        Raises:
            TypeError: Fields are missing, or there are others.
            ValueError: A severity or state is none.
        """
        return cls(**record)

    def words(self) -> dict[str, str]:
        """What a template may name."""
        values = {name: shown_value(value) for name, value in self.values.items()}
        return values | {
            "alert_id": self.id,
            "rule": self.rule,
            "severity": self.severity.value,
            "state": self.state.value,
            "condition": self.condition,
            "message": self.message,
            "values": ", ".join(f"{name} = {value}" for name, value in values.items()),
            "started_at": format_timestamp(self.started_at),
        }

    def text(self, template: str, maximum_length: int) -> str:
        """A template with the alert's words put in."""
        return fill(template, self.words(), maximum_length)


def shown_value(value: Scalar) -> str:
    """A value as people read it."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else f"{value:.6g}"
