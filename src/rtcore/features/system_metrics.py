"""
The machine and this process in numbers: CPU, memory, disk, network.

Most of what psutil reads comes from `/proc` at once, but the usage of a disk can hang with its file system, and the
time to count descriptors grows with their number. So a sample is taken in a thread, one at a time, and whoever asks
within `fresh_seconds` gets the same one: a crowd of dashboards costs one sample a second.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any, Final, cast

import attrs
import psutil
import trio
from attrs import frozen

from rtcore.errors import RequestError
from rtcore.features.feature import Publisher
from rtcore.values.events import Json

__all__ = [
    "CpuFigures",
    "DiskFigures",
    "MemoryFigures",
    "NetworkFigures",
    "ProcessFigures",
    "SystemMetrics",
    "SystemSampler",
    "SystemSnapshot",
]

_logger = logging.getLogger(__name__)

_LEAST_CPU_SECONDS: Final = 0.1
"""Of the processors together; the system counts in hundredths of a second."""
_FIRST_SECONDS: Final = 0.2
"""From the making of a sampler to its first sample, so that there is something to tell."""


@frozen(kw_only=True)
class CpuFigures:
    """All processors together."""

    percent: float
    """Share of time not idle since the last sample, 0 to 100; 0 where that was hardly any time ago."""
    count: int
    """Logical processors."""
    load_average: tuple[float, float, float]
    """Over 1, 5 and 15 minutes; zeros where the system has none."""


@frozen(kw_only=True)
class MemoryFigures:
    """Main memory, in bytes."""

    total: int
    available: int
    used: int
    percent: float
    """Share that is not available, 0 to 100."""
    swap_total: int
    swap_used: int


@frozen(kw_only=True)
class DiskFigures:
    """One file system, and the traffic of all disks."""

    path: str
    total: int
    used: int
    free: int
    percent: float
    read_bytes_per_second: float
    """Since the last sample; 0 where the system does not say."""
    write_bytes_per_second: float


@frozen(kw_only=True)
class NetworkFigures:
    """All interfaces together."""

    received_bytes: int
    """Since the system started, as are the other totals."""
    sent_bytes: int
    received_bytes_per_second: float
    """Since the last sample."""
    sent_bytes_per_second: float
    errors: int
    dropped: int


@frozen(kw_only=True)
class ProcessFigures:
    """This process."""

    pid: int
    cpu_percent: float
    """Since the last sample; 100 is one processor."""
    memory_bytes: int
    """Resident set."""
    threads: int
    descriptors: int
    """Open file descriptors; 0 where the system does not say."""
    uptime_seconds: float


@frozen(kw_only=True)
class SystemSnapshot:
    """One sample."""

    timestamp: float
    """When it was taken, in Unix seconds."""
    cpu: CpuFigures
    memory: MemoryFigures
    disk: DiskFigures
    network: NetworkFigures
    process: ProcessFigures

    def document(self) -> dict[str, Json]:
        """The sample as JSON, without its timestamp."""
        document = attrs.asdict(self)
        del document["timestamp"]
        return document


@frozen(kw_only=True)
class _Totals:
    """Running totals of the system, from which rates are made; psutil's own `cpu_percent` keeps them per thread."""

    time: float
    cpu_busy: float
    cpu_total: float
    process_cpu: float
    disk_read: int
    disk_written: int
    received: int
    sent: int


class SystemSampler:
    """
    Takes samples; not for two threads at once.

    Args:
        disk_path: A path on the file system whose usage is told.
        monotonic: A steady clock, in seconds.
        clock: Unix seconds.
    """

    def __init__(
        self,
        *,
        disk_path: str = "/",
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._disk_path = disk_path
        self._monotonic = monotonic
        self._clock = clock
        self._process = psutil.Process()
        self._before = self._read_totals(psutil.net_io_counters())
        self._cpu_before = self._before
        self._cpu_percent = 0.0

    def sample(self) -> SystemSnapshot:
        """
        Read everything; may block with the file system of `disk_path`.

        Rates are those since the sample before. Samples that follow each other in less than a tenth of a second tell
        the same of the processor: of so short a time nothing can be said.
        """
        network = psutil.net_io_counters()
        before, after = self._before, self._read_totals(network)
        self._before = after
        seconds = after.time - before.time

        def rate(new: float, old: float) -> float:
            # A counter that went back was reset, such as that of an interface that came again.
            return round(max(0.0, new - old) / seconds, 1) if seconds > 0 else 0.0

        return SystemSnapshot(
            timestamp=self._clock(),
            cpu=CpuFigures(
                percent=self._note_cpu(after),
                count=psutil.cpu_count() or 1,
                load_average=_load_average(),
            ),
            memory=_memory(),
            disk=_disk(
                self._disk_path,
                rate(after.disk_read, before.disk_read),
                rate(after.disk_written, before.disk_written),
            ),
            network=NetworkFigures(
                received_bytes=after.received,
                sent_bytes=after.sent,
                received_bytes_per_second=rate(after.received, before.received),
                sent_bytes_per_second=rate(after.sent, before.sent),
                errors=network.errin + network.errout if network else 0,
                dropped=network.dropin + network.dropout if network else 0,
            ),
            process=self._read_process(rate(after.process_cpu * 100, before.process_cpu * 100)),
        )

    def _note_cpu(self, after: _Totals) -> float:
        """Its share since the sample before, or the last one known where that was too short a time to tell."""
        before = self._cpu_before
        passed = after.cpu_total - before.cpu_total
        if passed >= _LEAST_CPU_SECONDS:
            self._cpu_percent = round(min(100.0, max(0.0, 100.0 * (after.cpu_busy - before.cpu_busy) / passed)), 1)
            self._cpu_before = after
        return self._cpu_percent

    def _read_totals(self, network: Any) -> _Totals:  # Any: psutil names its tuples differently from system to system
        times = psutil.cpu_times()
        # Time that a guest had is in `user` as well, so it would count twice.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        disk = _disk_counters()
        process = self._process.cpu_times()
        return _Totals(
            time=self._monotonic(),
            cpu_busy=total - times.idle - getattr(times, "iowait", 0.0),
            cpu_total=total,
            process_cpu=process.user + process.system,
            disk_read=disk.read_bytes if disk else 0,
            disk_written=disk.write_bytes if disk else 0,
            received=network.bytes_recv if network else 0,
            sent=network.bytes_sent if network else 0,
        )

    def _read_process(self, cpu_percent: float) -> ProcessFigures:
        process = self._process
        with process.oneshot():
            return ProcessFigures(
                pid=process.pid,
                cpu_percent=cpu_percent,
                memory_bytes=process.memory_info().rss,
                threads=process.num_threads(),
                descriptors=process.num_fds() if hasattr(process, "num_fds") else 0,
                uptime_seconds=round(max(0.0, self._clock() - process.create_time()), 1),
            )


def _load_average() -> tuple[float, float, float]:
    return os.getloadavg() if hasattr(os, "getloadavg") else (0.0, 0.0, 0.0)


def _memory() -> MemoryFigures:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return MemoryFigures(
        total=memory.total,
        available=memory.available,
        used=memory.used,
        percent=memory.percent,
        swap_total=swap.total,
        swap_used=swap.used,
    )


def _disk(path: str, read_rate: float, write_rate: float) -> DiskFigures:
    usage = psutil.disk_usage(path)
    return DiskFigures(
        path=path,
        total=usage.total,
        used=usage.used,
        free=usage.free,
        percent=usage.percent,
        read_bytes_per_second=read_rate,
        write_bytes_per_second=write_rate,
    )


def _disk_counters() -> Any:  # Any: as above
    try:
        return psutil.disk_io_counters()
    except (OSError, NotImplementedError):
        return None  # containers often hide them


class SystemMetrics:
    """
    Samples for whoever asks, and for subscribers of a channel.

    Args:
        publisher: Where `system.metrics` events go while `run` runs.
        channel: On which channel.
        sampler: Takes the samples.
        interval_seconds: Time between two events.
        fresh_seconds: How long a sample serves everybody who asks.
    """

    def __init__(
        self,
        publisher: Publisher,
        *,
        channel: str = "system",
        sampler: SystemSampler | None = None,
        interval_seconds: float = 5.0,
        fresh_seconds: float = 1.0,
    ) -> None:
        self._publisher = publisher
        self._channel = channel
        self._sampler = sampler or SystemSampler()
        self._interval_seconds = interval_seconds
        self._fresh_seconds = fresh_seconds
        self._one_at_a_time = trio.CapacityLimiter(1)
        self._asking = trio.Lock()
        self._latest: SystemSnapshot | None = None
        self._fresh_until = 0.0

    async def snapshot(self) -> SystemSnapshot:
        """
        A sample of now or of the last `fresh_seconds`; a checkpoint, and the first time a wait of 0.2 s.

        A cancelled caller leaves a thread behind only while a file system hangs; the next sample waits for that thread.
        """
        async with self._asking:
            if self._latest is None:
                await trio.sleep(_FIRST_SECONDS)  # otherwise a busy machine would seem to be idle
            if self._latest is None or trio.current_time() >= self._fresh_until:
                self._latest = await trio.to_thread.run_sync(
                    self._sampler.sample, limiter=self._one_at_a_time, abandon_on_cancel=True
                )
                self._fresh_until = trio.current_time() + self._fresh_seconds
            return self._latest

    async def document(self) -> dict[str, Json]:
        """The same as JSON; a checkpoint."""
        return (await self.snapshot()).document()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Publish `system.metrics` events until cancelled, the first at once."""
        task_status.started()
        while True:
            document = await self.document()
            try:
                # Only the newest is worth having for somebody who fell behind.
                self._publisher.publish(self._channel, "system.metrics", cast(Json, document), key="system.metrics")
            except RequestError as error:  # no channel is free just now: the machine is watched all the same
                _logger.warning("system metrics were not published: %s", error)
            await trio.sleep(self._interval_seconds)
