"""
A short way for the commands that come most, in the form that they mostly come in.

It knows no errors: whatever is not exactly of that form is left to the long way of `command_codec`, which says what is
wrong with it, or reads it. So both ways give the same command, and only one of them words a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast

from rtcore.protocol.command_fields import LANES
from rtcore.values.channels import is_channel_name
from rtcore.values.commands import ChannelName, Command, Heartbeat, Publish, Subscribe, Unsubscribe
from rtcore.values.events import Json, Lane
from rtcore.values.limits import Limits

__all__ = ["decode_usual"]

_HEARTBEAT: Final = Heartbeat()


def decode_usual(type: str, data: dict[str, Json], limits: Limits) -> Command | None:
    """A command of a usual form; None: it has to be read the long way."""
    read = _READERS.get(type)
    return None if read is None else read(data, limits)


def _heartbeat(data: dict[str, Json], limits: Limits) -> Heartbeat:
    return _HEARTBEAT


def _publish(data: dict[str, Json], limits: Limits) -> Publish | None:
    """Channel, type and data, perhaps a lane and a key."""
    channel, event_type = data.get("channel"), data.get("type")
    if type(channel) is not str or type(event_type) is not str or "data" not in data or not is_channel_name(channel):
        return None
    if len(data) == 3:
        return Publish(cast("ChannelName", channel), event_type, data["data"])
    if len(data) != 3 + ("lane" in data) + ("key" in data):
        return None
    lane, key = data.get("lane"), data.get("key")
    known: Lane | None = LANES.get(lane) if isinstance(lane, str) else None
    if (lane is not None and known is None) or (key is not None and not isinstance(key, str)):
        return None
    return Publish(cast("ChannelName", channel), event_type, data["data"], known, key)


def _subscribe(data: dict[str, Json], limits: Limits) -> Subscribe | None:
    channels = _channels(data, limits)
    return None if channels is None else Subscribe(channels)


def _unsubscribe(data: dict[str, Json], limits: Limits) -> Unsubscribe | None:
    channels = _channels(data, limits)
    return None if channels is None else Unsubscribe(channels)


def _channels(data: dict[str, Json], limits: Limits) -> tuple[ChannelName, ...] | None:
    """Channels, and nothing else."""
    names = data.get("channels")
    if len(data) != 1 or not isinstance(names, list) or not 0 < len(names) <= limits.channels_per_connection:
        return None
    for name in names:
        if not isinstance(name, str) or not is_channel_name(name):
            return None
    return tuple(cast("list[ChannelName]", names))


_READERS: Final[Mapping[str, Callable[[dict[str, Json], Limits], Command | None]]] = {
    "connection.heartbeat": _heartbeat,
    "heartbeat": _heartbeat,
    "publish": _publish,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
}
