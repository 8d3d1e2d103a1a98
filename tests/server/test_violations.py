"""The ledger of violations."""

from __future__ import annotations

import logging

import pytest

from rtcore.server.violations import ViolationLedger
from rtcore.values.limits import Limits


def ledger(**limits: float) -> ViolationLedger:
    return ViolationLedger(Limits(**{"violations": 3, "violation_seconds": 10.0, **limits}))  # type: ignore[arg-type]


def test_abuse_is_so_many_violations_within_the_window() -> None:
    """Not before, and again with each one more."""
    kept = ledger()
    assert [kept.record("a", "rate", now) for now in (0.0, 5.0, 10.0, 10.5, 21.0)] == [False, False, True, True, False]
    assert kept.statistics().abusive == 2


def test_violations_far_apart_are_no_abuse() -> None:
    """A client that is a little too fast now and then stays connected for ever."""
    kept = ledger()
    assert not any(kept.record("a", "rate", now * 6.0) for now in range(100))
    assert kept.count("a", 594.0) == 2
    assert kept.count("b", 594.0) == 0


def test_clients_are_counted_apart() -> None:
    """One client's abuse is not another's."""
    kept = ledger(violations=2)
    assert not kept.record("a", "rate", 0.0)
    assert not kept.record("b", "rate", 0.0)
    assert kept.record("a", "rate", 1.0)


def test_statistics_tell_kinds_and_the_newest_entries() -> None:
    """Bounded, oldest first."""
    kept = ledger(violation_entries=2)
    for now, kind in enumerate(("rate", "size", "rate")):
        kept.record("a", kind, float(now))
    statistics = kept.statistics()
    assert (statistics.total, statistics.by_kind, statistics.clients) == (3, {"rate": 2, "size": 1}, 1)
    assert [(entry.client, entry.kind, entry.timestamp) for entry in statistics.recent] == [
        ("a", "size", 1.0),
        ("a", "rate", 2.0),
    ]


def test_memory_is_bounded_and_the_quietest_client_is_forgotten_first() -> None:
    """However many clients come, the abuser among them stays known."""
    kept = ledger(connections=2)
    kept.record("a", "rate", 0.0)
    kept.record("b", "rate", 0.0)
    kept.record("a", "rate", 1.0)
    kept.record("c", "rate", 1.0)
    assert kept.statistics().clients == 2
    assert (kept.count("a", 1.0), kept.count("b", 1.0)) == (2, 0)
    assert kept.record("a", "rate", 2.0)
    kept.forget("a")
    kept.forget("a")
    assert kept.count("a", 2.0) == 0


def test_log_has_one_line_a_second_whatever_happens(caplog: pytest.LogCaptureFixture) -> None:
    """The lines say how many they stand for, and a client's name cannot break out of its line."""
    kept = ledger()
    with caplog.at_level(logging.WARNING):
        for step in range(21):
            kept.record("a\nb", "rate", step * 0.25)
    assert [record.getMessage() for record in caplog.records] == [
        f"violation of rate by 'a\\nb' ({more} more since the last line)" for more in (0, 3, 3, 3, 3, 3)
    ]
