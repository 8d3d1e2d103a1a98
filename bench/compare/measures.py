"""What is measured: the tests, the loads of each, and the figures that are read off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from load.generator import Figures

__all__ = ["FAULTS", "QUICK", "TESTS", "Measure", "Test"]


@dataclass(frozen=True)
class Measure:
    """One figure of a test."""

    name: str
    """The generator's."""
    title: str
    unit: str
    factor: float = 1.0
    """What to multiply the generator's figure by."""
    per: str = ""
    """The generator's figure to divide by; empty: none."""
    minus: str = ""
    """The generator's figure to take off first; empty: none."""

    def read(self, figures: Figures) -> float | None:
        """Its value in one run; None where there is none, as of latency where nothing came."""
        if self.name not in figures:
            return None
        value = figures[self.name] - (figures[self.minus] if self.minus else 0.0)
        return value * self.factor / (figures[self.per] if self.per else 1.0)


CPU = Measure("cpu_seconds_per_million", "CPU a delivery", "us")
RATE = Measure("per_second", "deliveries", "/s")
LATENCY = (
    Measure("p50_us", "latency, median", "ms", 1e-3),
    Measure("p99_us", "99 %", "ms", 1e-3),
    Measure("maximum_us", "longest", "ms", 1e-3),
)
DELIVERED = (CPU, RATE, *LATENCY[:2])
MEMORY = Measure("kib_per_connection", "memory a connection", "KiB")
HANDSHAKE = Measure("cpu_us_per_handshake", "CPU a handshake", "us")
GROWTH = Measure("resident_kib_end", "memory a silent client", "KiB", per="silent", minus="resident_kib_opened")

FAULTS = (
    *("lost", "duplicated", "reordered", "too_late", "misdelivered", "unknown", "altered", "stalls", "closed"),
    *("protocol_errors", "bad_echoes"),
)
"""Figures that should be 0; the report names each that is not."""


@dataclass(frozen=True)
class Test:
    """One row of the summary: a load, and what is read off. Less is better of the first measure."""

    name: str
    title: str
    kind: str
    """Which of a peer's speeches it takes."""
    measures: tuple[Measure, ...]
    load: Mapping[str, float | str]
    """Options of the generator; an empty text: a flag."""
    quick: Mapping[str, float | str] | None = field(default=None)
    """What is different in a quick run; None: it is not in it."""
    charted: tuple[Measure, ...] = ()
    """Those of the chart; none: the first."""


FAN = {"mode": "fanout", "clients": 1000, "size": 256, "seconds": 2.0, "warm-up": 0.5, "settle": 0.2}
DEALT = {**FAN, "addressed": "", "window": 64, "burst": 32}
SHORT = {"seconds": 1.0, "warm-up": 0.3}


def _open(name: str, clients: int, rate: float, quick: Mapping[str, float | str] | None = None) -> Test:
    title = f"one message to {clients:,}, {rate:g} a second whatever happens"
    load = {**FAN, "clients": clients, "rate": rate, "seconds": 3.0}
    return Test(name, title, "fanout", (*LATENCY[1:2], LATENCY[0], LATENCY[2], CPU), load, quick)


TESTS: dict[str, Test] = {
    test.name: test
    for test in (
        Test("fan1", "one message on its way to 1000", "fanout", DELIVERED, {**FAN, "window": 1}, SHORT),
        Test(
            "fan64",
            "up to 64 messages on their way to 1000, published 32 at a time",
            "fanout",
            DELIVERED,
            {**FAN, "window": 64, "burst": 32},
            SHORT,
        ),
        _open("open1k", 1000, 20.0, SHORT),
        _open("open5k", 5000, 4.0),
        _open("open10k", 10_000, 2.0),
        Test(
            "echo",
            "100 clients, one message of 128 bytes to and fro each",
            "echo",
            (
                Measure("cpu_seconds_per_million", "CPU a round trip", "us"),
                Measure("per_second", "round trips", "/s"),
                *LATENCY[:2],
            ),
            {"mode": "echo", "clients": 100, "size": 128, "seconds": 2.0, "warm-up": 0.5, "settle": 0.1},
            SHORT,
        ),
        Test(
            "idle",
            "5000 connections opened, 128 at a time, and left alone",
            "idle",
            (MEMORY, HANDSHAKE, Measure("handshakes_per_second", "handshakes", "/s")),
            {"mode": "idle", "clients": 5000, "settle": 0.5},
            {"clients": 2000},
            (MEMORY, HANDSHAKE),
        ),
        Test(
            "deflate",
            "as fan1 with 1 KiB, compressed, up to 16 on their way",
            "fanout",
            (CPU, RATE, Measure("bytes_each", "on the wire", "B")),
            {**FAN, "window": 16, "size": 1024, "deflate": ""},
        ),
        Test("channels", "1000 users, a channel and a message for each", "direct", DELIVERED, DEALT),
        Test("filters", "1000 different filters, a message for each", "filters", DELIVERED, DEALT),
        Test(
            "slow",
            "1000 who read beside 50 who never do; 1 KiB, 16 at a time",
            "fanout",
            (CPU, RATE, LATENCY[1], GROWTH),
            {**FAN, "silent": 50, "window": 16, "burst": 16, "size": 1024},
        ),
    )
}
"""By the name that `--tests` takes, in the order of the report."""

QUICK = tuple(name for name, test in TESTS.items() if test.quick is not None)
"""What a quick run measures."""
