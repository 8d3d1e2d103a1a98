"""What may be published, and what is said of it afterwards."""

from __future__ import annotations

from typing import Final

from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.results import PublishOutcome
from rtcore.values.events import Json, check_event_type
from rtcore.values.limits import Limits

__all__ = ["check_publication", "check_size", "outcome_data"]

_KEY_LENGTH: Final = 255
"""Longest conflation key, in characters: as a channel name, an identifier that is held once an event."""


def check_publication(type: str, key: str | None, limits: Limits) -> None:
    """
    Return if an event may have this type and this conflation key.

    Raises:
        RequestError: If it may not; `field` says which of the two.
    """
    try:
        check_event_type(type, limits.type_length)
    except ValueError as error:
        raise RequestError(ErrorCode.MALFORMED, str(error), field="data.type") from error
    if key is not None and not 0 < len(key) <= _KEY_LENGTH:
        raise RequestError(
            ErrorCode.MALFORMED, f"key must have 1 to {_KEY_LENGTH} characters, not {len(key)}", field="data.key"
        )


def check_size(body: bytes, limits: Limits) -> None:
    """
    Return if an event's text may be so long.

    Raises:
        RequestError: If it may not.
    """
    if len(body) > limits.message_bytes:
        raise RequestError(
            ErrorCode.TOO_LARGE,
            f"event of {len(body)} bytes exceeds message_bytes={limits.message_bytes}",
            field="data",
        )


def outcome_data(outcome: PublishOutcome) -> dict[str, Json]:
    """What became of an event, as its publisher is told."""
    return {
        "channel": outcome.channel,
        "offset": outcome.offset,
        "position": str(outcome.position),
        "matched": outcome.matched,
        "sent": outcome.sent,
        "queued": outcome.queued,
        "dropped": outcome.dropped,
    }
