"""Sources and machines that do as they are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from attrs import define, field

from rtcore.application import ApplicationHub
from rtcore.features.system_metrics import (
    CpuFigures,
    DiskFigures,
    MemoryFigures,
    NetworkFigures,
    ProcessFigures,
    SystemSnapshot,
)


@define(eq=False)
class ToldSource:
    """Counts, and does what `behaves` says first."""

    behaves: Callable[[], Any] | None = None
    calls: list[float] = field(factory=list)
    """When it was asked."""
    asked_now: int = 0
    """How many ask it at this moment."""
    most_at_once: int = 0

    async def __call__(self) -> dict[str, Any]:
        self.calls.append(trio.current_time())
        self.asked_now += 1
        self.most_at_once = max(self.most_at_once, self.asked_now)
        try:
            if self.behaves is not None and (awaited := self.behaves()) is not None:
                await awaited
            return {"count": len(self.calls)}
        finally:
            self.asked_now -= 1


@define(eq=False)
class StillMachine:
    """A machine on which nothing changes; psutil's threads know nothing of virtual time."""

    looks: int = 0

    async def snapshot(self) -> SystemSnapshot:
        await trio.lowlevel.checkpoint()
        self.looks += 1
        return SystemSnapshot(
            timestamp=0.0,
            cpu=CpuFigures(percent=42.5, count=2, load_average=(0.1, 0.2, 0.3)),
            memory=MemoryFigures(total=100, available=75, used=25, percent=25.0, swap_total=1, swap_used=0),
            disk=DiskFigures(
                path="/",
                total=10,
                used=9,
                free=1,
                percent=90.0,
                read_bytes_per_second=0.0,
                write_bytes_per_second=1.5,
            ),
            network=NetworkFigures(
                received_bytes=5,
                sent_bytes=6,
                received_bytes_per_second=0.5,
                sent_bytes_per_second=0.6,
                errors=0,
                dropped=0,
            ),
            process=ProcessFigures(
                pid=1, cpu_percent=1.0, memory_bytes=7, threads=1, descriptors=3, uptime_seconds=1.0
            ),
        )


@pytest.fixture
def told_source() -> type[ToldSource]:
    return ToldSource


@pytest.fixture
def still_machine() -> Callable[[ApplicationHub], StillMachine]:
    """Puts a machine on which nothing changes under a hub's streams."""

    def put(hub: ApplicationHub) -> StillMachine:
        machine = StillMachine()
        hub.metrics.built_in.system.machine = machine
        return machine

    return put
