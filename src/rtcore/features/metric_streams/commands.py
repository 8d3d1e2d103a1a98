"""What clients of `rtcore.v1` can ask of streams, and push to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.metric_streams.documents import StreamsPort, dashboard_data
from rtcore.features.metric_streams.stream import NAME_LENGTH, Sample
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.protocol.command_fields import fault
from rtcore.protocol.json_codec import json_dumps
from rtcore.protocol.wire_fields import text, wire
from rtcore.values.events import Json
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits
from rtcore.values.shown import show

__all__ = ["NoData", "ReadableStreams", "WritableStreams", "fresh_data", "stream_commands"]


class ReadableStreams(StreamsPort, Protocol):
    """Streams that clients look at."""

    def streams(self, identity: Identity | None = None) -> list[str]:
        """Those that an identity may read."""

    async def fresh(self, names: list[str]) -> None:
        """Have those sampled that nobody watches."""


class WritableStreams(ReadableStreams, Protocol):
    """Streams that clients push samples to, as well."""

    def takes_from_clients(self, name: str) -> bool:
        """Whether there is such a stream, and clients may push to it."""

    def publish(self, name: str, data: Sample) -> None:
        """Push a sample."""


@frozen(kw_only=True)
class NoData:
    """No data."""


def _figures(value: object) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else fault(f"expected an object, got {show(value)}")


@frozen(kw_only=True)
class _Publish:
    stream: str = wire(text(NAME_LENGTH))
    data: Mapping[str, Json] = wire(_figures)


def stream_commands(
    streams: WritableStreams, publish_roles: frozenset[str], limits: Limits, clock: Callable[[], float]
) -> dict[str, CommandRule[Any]]:
    """
    `metrics.data` and `metrics.publish`.

    Args:
        streams: All streams.
        publish_roles: Roles of which one is needed to push.
        limits: `metric_sample_bytes` and `metric_data_bytes`.
        clock: Unix seconds.
    """

    async def data(context: CommandContext, command: NoData) -> Reply:
        return Reply("metrics.data", await fresh_data(streams, context.identity, limits, clock))

    def publish(context: CommandContext, command: _Publish) -> Reply:
        # The same words whether there is no such stream or one that is not for clients: none is told of by that.
        if not streams.takes_from_clients(command.stream):
            raise _refused("stream", ErrorCode.DENIED, "not a stream that clients may push to")
        size, most = len(json_dumps(command.data)), limits.metric_sample_bytes
        if size > most:
            raise _refused("data", ErrorCode.TOO_LARGE, f"sample of {size} bytes exceeds metric_sample_bytes={most}")
        streams.publish(command.stream, command.data)
        return Reply("metrics.published", {"stream": command.stream}, unasked=False)

    return {
        "metrics.data": CommandRule(value=NoData, handler=data),
        "metrics.publish": CommandRule(value=_Publish, handler=publish, roles=publish_roles),
    }


async def fresh_data(
    streams: ReadableStreams, identity: Identity, limits: Limits, clock: Callable[[], float]
) -> dict[str, Json]:
    """The newest samples of all streams that an identity may read, and an overview; a checkpoint."""
    names = streams.streams(identity)
    await streams.fresh(names)
    return dashboard_data(streams, names, limits.metric_data_bytes, clock())


def _refused(name: str, code: ErrorCode, words: str) -> RequestError:
    return RequestError(code, f"data.{name}: {words}", field=f"data.{name}")
