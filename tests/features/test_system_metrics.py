"""The machine's figures: their ranges, their cost, and that nobody waits for a disk."""

from __future__ import annotations

import os
import threading
from typing import Any

import attrs
import psutil
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from rtcore.features.system_metrics import SystemMetrics, SystemSampler, SystemSnapshot
from rtcore.protocol.json_codec import json_dumps


class Recorder:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, Any, Any]] = []

    def publish(self, channel: str, type: str, data: Any, *, lane: Any = None, key: Any = None) -> None:
        self.events.append((channel, type, data, key))


class Counting(SystemSampler):
    """A sampler that counts, and can be held up as by a file system that hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.samples = 0
        self.open = threading.Event()
        self.open.set()

    def sample(self) -> SystemSnapshot:
        assert self.open.wait(10)
        self.samples += 1
        return super().sample()


def test_a_sample_has_possible_values_and_can_be_json() -> None:
    snapshot = SystemSampler().sample()
    assert 0 <= snapshot.cpu.percent <= 100
    assert snapshot.cpu.count >= 1
    assert 0 < snapshot.memory.available <= snapshot.memory.total
    assert snapshot.disk.total > 0
    assert snapshot.process.pid == os.getpid()
    assert snapshot.process.memory_bytes > 0
    assert snapshot.process.descriptors > 0
    assert json_dumps(snapshot.document())
    assert set(snapshot.document()) == {field.name for field in attrs.fields(SystemSnapshot)} - {"timestamp"}


def test_rates_are_taken_between_two_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds apart, 1000 bytes more: 500 bytes a second."""
    times = iter([0.0, 2.0])
    received = iter([5_000, 6_000])

    class Network:
        bytes_sent = errin = errout = dropin = dropout = 0

        def __init__(self) -> None:
            self.bytes_recv = next(received)

    monkeypatch.setattr(psutil, "net_io_counters", Network)
    network = SystemSampler(monotonic=lambda: next(times)).sample().network
    assert network.received_bytes == 6_000
    assert network.received_bytes_per_second == 500.0


def test_a_counter_that_was_reset_is_no_negative_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    counters = iter([10_000, 10])

    class Network:
        bytes_recv = errin = errout = dropin = dropout = 0

        def __init__(self) -> None:
            self.bytes_sent = next(counters)

    monkeypatch.setattr(psutil, "net_io_counters", Network)
    assert SystemSampler().sample().network.sent_bytes_per_second == 0.0


def test_a_system_without_disk_or_network_counters_still_has_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers hide them."""

    def refused() -> None:
        raise FileNotFoundError("/proc/diskstats")

    monkeypatch.setattr(psutil, "disk_io_counters", refused)
    monkeypatch.setattr(psutil, "net_io_counters", lambda: None)
    snapshot = SystemSampler().sample()
    assert snapshot.disk.read_bytes_per_second == 0
    assert snapshot.network.received_bytes == 0


def test_the_processors_share_is_kept_where_too_little_time_has_passed_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """An alert on a busy machine would be resolved by a zero that nobody measured."""
    ticks = iter([(0.0, 0.0), (9.0, 1.0), (9.0, 1.05), (9.0, 11.0)])

    class Times(tuple[float, ...]):
        def __new__(cls) -> Times:
            busy, idle = next(ticks)
            made = super().__new__(cls, (busy, idle))
            made.idle = idle
            return made

        idle: float

    monkeypatch.setattr(psutil, "cpu_times", Times)
    sampler = SystemSampler()
    assert [sampler.sample().cpu.percent for _ in range(3)] == [90.0, 90.0, 0.0]


async def test_the_first_sample_waits_until_there_is_something_to_tell(autojump_clock: MockClock) -> None:
    metrics = SystemMetrics(Recorder(), sampler=Counting(), fresh_seconds=0)
    began = trio.current_time()
    await metrics.snapshot()
    assert trio.current_time() - began >= 0.2
    began = trio.current_time()
    await metrics.snapshot()
    assert trio.current_time() - began < 0.2


async def test_a_crowd_shares_one_sample(autojump_clock: MockClock) -> None:
    sampler = Counting()
    metrics = SystemMetrics(Recorder(), sampler=sampler)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(metrics.document)
    assert sampler.samples == 1


async def test_a_sample_grows_old(autojump_clock: MockClock) -> None:
    sampler = Counting()
    metrics = SystemMetrics(Recorder(), sampler=sampler, fresh_seconds=0)
    await metrics.snapshot()
    await metrics.snapshot()
    assert sampler.samples == 2


async def test_events_come_at_their_interval(mock_clock: MockClock) -> None:
    recorder, sampler = Recorder(), Counting()
    metrics = SystemMetrics(recorder, sampler=sampler, interval_seconds=5)
    async with trio.open_nursery() as nursery:
        await nursery.start(metrics.run)
        await wait_all_tasks_blocked()
        mock_clock.jump(0.2)  # the first sample is waited for
        for expected in (1, 2, 3):
            with trio.fail_after(1000):
                while len(recorder.events) < expected:
                    await trio.lowlevel.checkpoint()
            await wait_all_tasks_blocked()
            assert len(recorder.events) == expected
            mock_clock.jump(5)
        nursery.cancel_scope.cancel()
    channel, event_type, data, key = recorder.events[0]
    assert (channel, event_type, key) == ("system", "system.metrics", "system.metrics")
    assert set(data) == {"cpu", "memory", "disk", "network", "process"}


async def test_a_hanging_file_system_holds_up_nobody_who_gives_up() -> None:
    """Neither the loop nor a shutdown waits for it."""
    sampler = Counting()
    sampler.open.clear()
    metrics = SystemMetrics(Recorder(), sampler=sampler)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(metrics.snapshot)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert sampler.samples == 0
    finally:
        sampler.open.set()
    assert (await metrics.snapshot()).process.pid == os.getpid()
