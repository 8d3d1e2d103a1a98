"""Names looked up in samples, and how much of the past is kept for them."""

from __future__ import annotations

from typing import Any

from rtcore.features.alerts.expression import FieldNeeds
from rtcore.features.alerts.rule import AlertRule, RuleBody, check_rule
from rtcore.features.alerts.rule_book import RuleBook
from rtcore.features.alerts.rule_state import Change
from rtcore.features.alerts.sample_window import SampleWindow
from rtcore.features.alerts.watched_fields import WatchedFields
from rtcore.protocol.wire_fields import read_object
from rtcore.values.limits import Limits

NEWEST = FieldNeeds()


def test_sample_of_a_stream_without_rules_is_nobodys() -> None:
    fields = WatchedFields(10)
    fields.watch("r", "web", {"cpu": NEWEST})
    assert list(fields.observe("database", {"cpu": 1}, 0.0)) == []


def test_name_is_a_key_or_a_path_of_keys() -> None:
    fields = WatchedFields(10)
    view = fields.watch("r", "web", {"db.size": NEWEST, "db.pool.used": NEWEST})
    assert list(fields.observe("web", {"db.size": 1, "db": {"size": 2, "pool": {"used": 3}}}, 0.0)) == ["r"]
    assert view.values() == {"db.size": 1.0, "db.pool.used": 3.0}
    fields.observe("web", {"db": {"size": 2, "pool": 5}}, 1.0)
    assert view.values() == {"db.size": 2.0, "db.pool.used": None}


def test_rule_of_no_stream_sees_the_newest_of_any() -> None:
    """A sample of a stream that never had the field says nothing about it; one that leaves its own field out does."""
    fields = WatchedFields(10)
    view = fields.watch("r", None, {"cpu": NEWEST})
    assert list(fields.observe("web", {"cpu": 1}, 0.0)) == ["r"]
    assert list(fields.observe("other", {"memory": 1}, 1.0)) == []
    assert view.latest("cpu") == 1.0
    assert list(fields.observe("other", {"cpu": 2}, 2.0)) == ["r"]
    assert list(fields.observe("web", {}, 3.0)) == []
    assert view.latest("cpu") == 2.0
    assert list(fields.observe("other", {}, 4.0)) == ["r"]
    assert view.latest("cpu") is None


def test_name_may_begin_with_the_stream() -> None:
    fields = WatchedFields(10)
    view = fields.watch("r", None, {"web.cpu": NEWEST})
    fields.observe("database", {"cpu": 9}, 0.0)
    assert view.latest("web.cpu") is None
    fields.observe("web", {"cpu": 1}, 1.0)
    assert view.latest("web.cpu") == 1.0


def test_stream_named_by_a_rule_is_the_only_one_it_sees() -> None:
    fields = WatchedFields(10)
    view = fields.watch("r", "web", {"cpu": NEWEST})
    fields.observe("web", {"cpu": 1}, 0.0)
    fields.observe("database", {"cpu": 2}, 1.0)
    assert view.latest("cpu") == 1.0


def test_history_is_kept_for_the_longest_window_and_no_longer_than_a_rule_needs_it() -> None:
    fields = WatchedFields(100)
    short = fields.watch("short", "web", {"cpu": FieldNeeds(2.0)})
    fields.watch("long", "web", {"cpu": FieldNeeds(5.0)})
    for second in range(10):
        fields.observe("web", {"cpu": second}, float(second))
    short.now = 9.0
    assert short.window("cpu", 5.0).values == [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    fields.unwatch("long", "web")
    fields.observe("web", {"cpu": 10}, 10.0)
    short.now = 10.0
    assert short.window("cpu", 5.0).values == [8.0, 9.0, 10.0]
    fields.unwatch("short", "web")
    assert len(fields) == 0
    assert list(fields.observe("web", {"cpu": 1}, 11.0)) == []


def test_history_takes_numbers_only() -> None:
    fields = WatchedFields(10)
    view = fields.watch("r", "web", {"cpu": FieldNeeds(60.0)})
    for second, value in enumerate((1, True, "2", None, float("nan"), float("inf"), 10**400, [3], 4.5)):
        fields.observe("web", {"cpu": value}, float(second))
    view.now = 9.0
    assert view.window("cpu", 60.0).values == [1.0, 4.5]


def test_window_that_is_full_reaches_less_far_back_and_says_so() -> None:
    fields = WatchedFields(3)
    view = fields.watch("r", "web", {"cpu": FieldNeeds(60.0)})
    for second in range(3):
        fields.observe("web", {"cpu": second}, float(second))
    assert view.shortened() == []
    fields.observe("web", {"cpu": 3}, 3.0)
    view.now = 3.0
    assert (view.shortened(), view.window("cpu", 60.0).values) == (["cpu"], [1.0, 2.0, 3.0])


def test_memory_of_a_window_stays_in_proportion_to_what_it_holds() -> None:
    window = SampleWindow(most=1000, seconds=10.0)
    for second in range(10_000):
        window.append(float(second), 0.0)
    assert len(window) == 11
    assert len(window._times) <= 2 * 64 + 11


def test_window_is_cut_out_and_sorted_once_a_sample_for_all_rules() -> None:
    """Many percentiles of a long window would hold up everybody else."""
    fields = WatchedFields(10)
    needs = {"cpu": FieldNeeds(60.0)}
    first, second = fields.watch("a", "web", needs), fields.watch("b", "web", needs)
    fields.observe("web", {"cpu": 2}, 0.0)
    fields.observe("web", {"cpu": 1}, 1.0)
    first.now = second.now = 1.0
    view = first.window("cpu", 60.0)
    assert second.window("cpu", 60.0) is view
    assert view.ordered() is view.ordered()
    assert (view.values, view.ordered()) == ([2.0, 1.0], [1.0, 2.0])
    assert first.window("cpu", 0.5).values == [1.0]
    fields.observe("web", {"cpu": 0}, 1.0)  # at the same moment, and yet another sample
    assert first.window("cpu", 60.0).ordered() == [0.0, 1.0, 2.0]


def test_windows_that_were_cut_out_are_bounded_and_not_kept() -> None:
    fields = WatchedFields(10)
    view = fields.watch("a", "web", {"cpu": FieldNeeds(1000.0)})
    fields.observe("web", {"cpu": 2}, 0.0)
    for seconds in range(1, 1000):
        assert view.window("cpu", float(seconds)).values == [2.0]
    assert len(view.views) <= 64
    fields.forget_views()
    assert len(view.views) == 0


def test_rule_book_keeps_no_window_when_all_rules_have_seen_a_sample(high_cpu: Any) -> None:
    limits = Limits()
    book = RuleBook(limits)
    record = {**high_cpu, "condition": "percentile(cpu, 50, 1m) > 1 and percentile(cpu, 99, 1m) > 1", "stream": "web"}
    body = read_object(record, RuleBody)
    condition = check_rule(body, limits, known_channels=["dashboard", "webhook"])
    watched = book.add(AlertRule(id="r", body=body, condition=condition, created_at=0.0, created_by=""), 0.0)
    assert [change for _, change in book.observe("web", {"cpu": 2}, 1.0)] == [Change.TRIGGERED]
    assert len(watched.view.views) == 0
