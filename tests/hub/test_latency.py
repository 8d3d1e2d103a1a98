"""Delivery latency: what is counted, and that it stays bounded."""

from __future__ import annotations

import pytest

from rtcore.hub.latency import LATENCY_BUCKETS, OTHER_TYPES, LatencyHistogram, combine_latency


def test_a_delivery_counts_once_per_receiver() -> None:
    """The weight is the number of receivers: one observation stands for a whole fan-out."""
    histogram = LatencyHistogram(10)
    histogram.observe("task.progress", 0.002, 500)
    histogram.observe("task.progress", 0.002)
    (snapshot,) = histogram.snapshot()
    assert snapshot.count == 501
    assert snapshot.seconds == pytest.approx(501 * 0.002)


def test_a_bound_belongs_to_its_own_bucket() -> None:
    """Prometheus buckets are `le`: at most."""
    histogram = LatencyHistogram(10)
    histogram.observe("a", 0.01)
    (snapshot,) = histogram.snapshot()
    index = LATENCY_BUCKETS.index(0.01)
    assert snapshot.cumulative[index] == 1
    assert snapshot.cumulative[index - 1] == 0


def test_what_is_slower_than_every_bound_is_still_counted() -> None:
    histogram = LatencyHistogram(10)
    histogram.observe("a", 60.0, 2)
    (snapshot,) = histogram.snapshot()
    assert snapshot.cumulative[-2:] == (0, 2)
    assert snapshot.quantile(0.5) == LATENCY_BUCKETS[-1]


def test_a_clock_set_back_counts_as_no_time_at_all() -> None:
    histogram = LatencyHistogram(10)
    histogram.observe("a", -5.0)
    (snapshot,) = histogram.snapshot()
    assert (snapshot.count, snapshot.seconds, snapshot.cumulative[0]) == (1, 0.0, 1)


def test_invented_event_types_share_one_series() -> None:
    """A publisher who invents types must not grow memory or label sets."""
    histogram = LatencyHistogram(2)
    for number in range(100):
        histogram.observe(f"type.{number}", 0.001)
    assert {s.event_type: s.count for s in histogram.snapshot()} == {"type.0": 1, "type.1": 1, OTHER_TYPES: 98}


def test_quantiles_are_interpolated_within_a_bucket() -> None:
    histogram = LatencyHistogram(1)
    assert combine_latency(histogram.snapshot()).quantile(0.5) is None
    histogram.observe("a", 0.004, 100)
    (snapshot,) = histogram.snapshot()
    assert snapshot.quantile(0.5) == pytest.approx(0.00375)
    assert snapshot.quantile(1.0) == pytest.approx(0.005)


def test_combined_latency_adds_all_types() -> None:
    histogram = LatencyHistogram(10)
    histogram.observe("a", 0.001, 3)
    histogram.observe("b", 0.3, 1)
    combined = combine_latency(histogram.snapshot())
    assert combined.count == 4
    assert combined.seconds == pytest.approx(0.303)
