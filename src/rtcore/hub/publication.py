"""What may be published, and what is said of it afterwards."""

from __future__ import annotations

from typing import Final

from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.channel import Spread
from rtcore.hub.results import PublishOutcome
from rtcore.values.events import Event, check_event_type
from rtcore.values.limits import Limits

__all__ = ["check_publication", "outcome_of"]

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


def outcome_of(event: Event, spread: Spread) -> PublishOutcome:
    """What became of an event, for its publisher."""
    return PublishOutcome(
        channel=event.channel,
        offset=event.offset,
        position=event.position,
        matched=spread.matched,
        sent=spread.matched - spread.queued - spread.dropped,
        queued=spread.queued,
        dropped=spread.dropped,
    )
