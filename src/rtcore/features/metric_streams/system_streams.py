"""Streams of the machine: `cpu`, `memory`, `disk`, `network`. One look at it serves them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import cached_property, partial
from typing import Protocol

from rtcore.features.feature import Publisher
from rtcore.features.metric_streams.stream import Source
from rtcore.features.system_metrics import SystemMetrics, SystemSnapshot
from rtcore.values.events import Json

__all__ = ["Machine", "SystemStreams"]


class Machine(Protocol):
    """Looks at the machine."""

    def snapshot(self) -> Awaitable[SystemSnapshot]:
        """A sample of now, or one that is not a second old."""


class SystemStreams:
    """
    Args:
        publisher: Of the machine's own events, which are none here.
        machine: Looks at the machine; None: psutil, from the first time that somebody wants to know.
    """

    def __init__(self, publisher: Publisher, machine: Machine | None = None) -> None:
        self._publisher = publisher
        if machine is not None:
            self.machine = machine

    @cached_property
    def machine(self) -> Machine:
        """Looks at the machine."""
        return SystemMetrics(self._publisher)

    def sources(self) -> Iterator[tuple[str, Source]]:
        """Streams by name."""
        for name, figures in (("cpu", _cpu), ("memory", _memory), ("disk", _disk), ("network", _network)):
            yield name, partial(self._sample, figures)

    async def _sample(self, figures: Callable[[SystemSnapshot], dict[str, Json]]) -> dict[str, Json]:
        return figures(await self.machine.snapshot())


def _share(percent: float) -> float:
    return round(percent / 100, 4)


def _cpu(snapshot: SystemSnapshot) -> dict[str, Json]:
    cpu, process = snapshot.cpu, snapshot.process
    return {
        "cpu_utilization": _share(cpu.percent),
        "cpu_percent": cpu.percent,
        "cpu_count": cpu.count,
        "load_average": list(cpu.load_average),
        "process_cpu_percent": process.cpu_percent,
        "process_threads": process.threads,
    }


def _memory(snapshot: SystemSnapshot) -> dict[str, Json]:
    memory = snapshot.memory
    return {
        "memory_utilization": _share(memory.percent),
        "memory_percent": memory.percent,
        "memory_total_bytes": memory.total,
        "memory_used_bytes": memory.used,
        "memory_available_bytes": memory.available,
        "swap_total_bytes": memory.swap_total,
        "swap_used_bytes": memory.swap_used,
        "process_memory_bytes": snapshot.process.memory_bytes,
    }


def _disk(snapshot: SystemSnapshot) -> dict[str, Json]:
    disk = snapshot.disk
    return {
        "disk_utilization": _share(disk.percent),
        "disk_percent": disk.percent,
        "disk_path": disk.path,
        "disk_total_bytes": disk.total,
        "disk_used_bytes": disk.used,
        "disk_free_bytes": disk.free,
        "disk_read_bytes_per_second": disk.read_bytes_per_second,
        "disk_write_bytes_per_second": disk.write_bytes_per_second,
    }


def _network(snapshot: SystemSnapshot) -> dict[str, Json]:
    network = snapshot.network
    return {
        "network_received_bytes": network.received_bytes,
        "network_sent_bytes": network.sent_bytes,
        "network_received_bytes_per_second": network.received_bytes_per_second,
        "network_sent_bytes_per_second": network.sent_bytes_per_second,
        "network_errors": network.errors,
        "network_dropped": network.dropped,
    }
