"""From samples to alerts, and to those who should know; hours pass in milliseconds."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.alerts.alert import AlertState
from rtcore.features.alerts.settings import AlertSettings
from rtcore.testing import START
from rtcore.values.events import format_timestamp
from rtcore.values.limits import Limits


async def test_rule_of_the_contract_fires_and_resolves(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, sender: Any
) -> None:
    async with open_alerts(senders={"webhook": sender}) as bench:
        rule = await bench.alerts.add_rule(high_cpu, by="alice")
        await bench.observe(cpu_utilization=0.5)
        await bench.observe(cpu_utilization=0.93)
        await bench.observe(cpu_utilization=0.99)
        await bench.observe(cpu_utilization=0.2)
    assert bench.types == ["alert_rule_added", "alert_triggered", "alert_resolved"]
    (triggered,), (resolved,) = bench.data("alert_triggered"), bench.data("alert_resolved")
    assert triggered == {
        "alert_id": triggered["alert_id"],
        "rule_id": rule.id,
        "rule": "High CPU Usage",
        "severity": "high",
        "condition": "cpu_utilization > 0.8",
        "message": "cpu_utilization > 0.8 (cpu_utilization = 0.93)",
        "values": {"cpu_utilization": 0.93},
        "started_at": format_timestamp(START + 0.0),
        "state": "firing",
        "silenced": False,
        "acknowledged_by": None,
        "acknowledged_at": None,
        "note": None,
        "resolved_at": None,
    }
    assert resolved == triggered | {"state": "resolved", "resolved_at": triggered["started_at"]}
    assert sender.told == [("alert_triggered", "High CPU Usage"), ("alert_resolved", "High CPU Usage")]


async def test_condition_that_holds_long_enough_fires_without_another_sample(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any
) -> None:
    async with open_alerts() as bench:
        await bench.alerts.add_rule(high_cpu | {"for": 60_000})
        await bench.observe(cpu_utilization=0.9)
        await trio.sleep(59)
        assert "alert_triggered" not in bench.types
        await trio.sleep(2)
        (alert,) = bench.data("alert_triggered")
        assert alert["started_at"] == format_timestamp(START + 60)


async def test_condition_that_was_false_in_between_begins_anew(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any
) -> None:
    async with open_alerts() as bench:
        await bench.alerts.add_rule(high_cpu | {"for": 60_000})
        for value in (0.9, 0.1, 0.9):
            await bench.observe(cpu_utilization=value)
            await trio.sleep(40)
        assert "alert_triggered" not in bench.types
        await trio.sleep(21)
        assert bench.data("alert_triggered")[0]["started_at"] == format_timestamp(START + 140)


async def test_next_alert_comes_when_the_cooldown_is_over_and_it_is_still_true(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, sender: Any
) -> None:
    async with open_alerts(senders={"webhook": sender}) as bench:
        await bench.alerts.add_rule(high_cpu | {"cooldown": 300_000})
        await bench.observe(cpu_utilization=0.9)
        await trio.sleep(10)
        await bench.observe(cpu_utilization=0.1)
        await trio.sleep(10)
        await bench.observe(cpu_utilization=0.9)
        await trio.sleep(279)
        assert bench.types.count("alert_triggered") == 1
        await trio.sleep(2)
        assert [alert["started_at"] for alert in bench.data("alert_triggered")] == [
            format_timestamp(START),
            format_timestamp(START + 300),
        ]
        assert len(sender.taken) == 3


@pytest.mark.parametrize(
    ("state", "before", "after"), [("firing", 0.1, "alert_triggered"), ("resolved", 0.9, "alert_resolved")]
)
async def test_stream_that_fell_silent_counts_as_the_rule_says(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, state: str, before: float, after: str
) -> None:
    async with open_alerts() as bench:
        await bench.alerts.add_rule(high_cpu | {"absent": {"after": 60_000, "state": state}})
        for _ in range(10):
            await bench.observe(cpu_utilization=before)
            await trio.sleep(50)
        assert (after in bench.types) is False
        await trio.sleep(11)
        assert bench.types[-1] == after
        await bench.observe(cpu_utilization=1 - before)
        assert bench.types.count(after) == 1
        await bench.observe(cpu_utilization=before)
        assert bench.types[-1] != after


async def test_stream_that_never_came_is_absent_too(autojump_clock: MockClock, open_alerts: Any, high_cpu: Any) -> None:
    async with open_alerts() as bench:
        await bench.alerts.add_rule(high_cpu | {"absent": {"after": 60_000, "state": "firing"}})
        await trio.sleep(61)
        (alert,) = bench.data("alert_triggered")
        assert alert["values"] == {"cpu_utilization": None}
        assert alert["message"] == "cpu_utilization > 0.8 (cpu_utilization = unknown)"


async def test_stream_that_falls_silent_leaves_an_alert_as_it_is(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any
) -> None:
    async with open_alerts() as bench:
        await bench.alerts.add_rule(high_cpu)
        await bench.observe(cpu_utilization=0.9)
        await trio.sleep(86_400)
        await bench.observe(other=1)
        assert [alert.state for alert in bench.alerts.alerts()] == [AlertState.FIRING]


async def test_rule_says_why_it_is_unknown_and_where_its_news_goes(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any
) -> None:
    """A mistake shows in the rule, not in an exception of whoever observes."""
    async with open_alerts(limits=Limits(alert_window_samples=2)) as bench:
        rule = {"condition": "cpu_utilization / cores > avg(cpu_utilization, 1m)", "channels": ["email", "dashboard"]}
        await bench.alerts.add_rule(high_cpu | rule)
        (document,) = bench.alerts.rule_documents()
        assert (document["state"], document["unknown"]) == ("quiet", "no sample yet")
        for second in range(3):
            await bench.observe(cpu_utilization=0.5, cores=0)
            await trio.sleep(second)
        (document,) = bench.alerts.rule_documents()
        assert document["unknown"] == "column 17: division by zero"
        assert document["notes"] == [
            "cpu_utilization: more samples than alert_window_samples",
            "email: no target of this kind is set",
        ]
        await bench.observe(cpu_utilization="a lot", cores=2)
        assert bench.alerts.rule_documents()[0]["unknown"] == "column 1: expected a number, got text"


async def test_alert_without_a_target_of_its_channel_is_said_to_reach_nobody(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any
) -> None:
    async with open_alerts(senders={}) as bench:
        await bench.alerts.add_rule(high_cpu)
        await bench.observe(cpu_utilization=0.9)
        (failed,) = bench.data("alert_delivery_failed")
        assert (failed["rule"], failed["target"], failed["error"]) == (
            "High CPU Usage",
            "webhook",
            "no target of this kind is set",
        )


async def test_rule_without_the_dashboard_publishes_nothing_there(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, sender: Any
) -> None:
    async with open_alerts(senders={"webhook": sender}) as bench:
        await bench.alerts.add_rule(high_cpu | {"channels": ["webhook"], "notify_resolved": False})
        await bench.observe(cpu_utilization=0.9)
        await bench.observe(cpu_utilization=0.1)
        assert bench.types == ["alert_rule_added"]
        assert sender.told == [("alert_triggered", "High CPU Usage")]


async def test_two_streams_take_part_in_one_condition(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any
) -> None:
    async with open_alerts() as bench:
        await bench.alerts.add_rule(high_cpu | {"condition": "web.errors > 5 and database.load > 0.9"})
        await bench.observe("web", errors=9)
        await bench.observe("database", load=0.5)
        assert "alert_triggered" not in bench.types
        await bench.observe("database", load=0.95)
        assert bench.data("alert_triggered")[0]["values"] == {"web.errors": 9.0, "database.load": 0.95}


async def test_message_of_a_rule_is_filled_in_when_it_fires(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any
) -> None:
    async with open_alerts() as bench:
        message = "$$5 says ${cpu_utilization} of $rule; $host is $severity."
        await bench.alerts.add_rule(
            high_cpu | {"message": message, "condition": 'cpu_utilization > 0.8 and host != ""'}
        )
        await bench.observe(cpu_utilization=0.875, host="$rule {0.__class__} %s")
        (alert,) = bench.data("alert_triggered")
        assert alert["message"] == "$5 says 0.875 of High CPU Usage; $rule {0.__class__} %s is high."


async def test_text_that_json_cannot_carry_does_not_stop_alerts(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any
) -> None:
    """An application may observe whatever it has."""
    async with open_alerts() as bench:
        await bench.alerts.add_rule(high_cpu | {"condition": 'cpu_utilization > 0.8 and host != ""'})
        await bench.observe(cpu_utilization=1, host="\ud800" + "x" * 1000)
        (alert,) = bench.data("alert_triggered")
        assert alert["values"]["host"] == "?" + "x" * 199


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"name": None}, "name", "name: missing"),
        ({"name": "x" * 129}, "name", "name: expected 1 to 128 characters, got 129"),
        ({"condition": "cpu >"}, "condition", 'condition: column 6: expected a value after ">", got the end'),
        ({"condition": "a" * 1001}, "condition",
         "condition: column 1001: condition of 1001 characters exceeds alert_condition_length=1000"),
        ({"severity": "bad"}, "severity", 'severity: expected one of low, medium, high, critical, got "bad"'),
        ({"channels": ["dashboard", "pager"]}, "channels[1]",
         "channels[1]: unknown channel; there are dashboard, email, slack, sms, webhook"),
        ({"channels": ["http://127.0.0.1/"]}, "channels[0]",
         "channels[0]: unknown channel; there are dashboard, email, slack, sms, webhook"),
        ({"cooldown": -1}, "cooldown", "cooldown: expected a whole number from 0 to 2592000000, got -1"),
        ({"cooldown": 1.5}, "cooldown", "cooldown: expected a whole number from 0 to 2592000000, got 1.5"),
        ({"for": "5m"}, "for", 'for: expected a whole number from 0 to 2592000000, got "5m"'),
        (
            {"absent": {"after": 1}}, "absent.after",
            "absent.after: expected a whole number from 1000 to 2592000000, got 1",
        ),
        ({"message": "$nothing"}, "message", 'message: unknown name "$nothing"; there are alert_id, rule, severity, '
         "state, condition, values, started_at, cpu_utilization"),
        ({"message": "$message"}, "message", 'message: unknown name "$message"; there are alert_id, rule, severity, '
         "state, condition, values, started_at, cpu_utilization"),
        ({"message": "5 $ a day"}, "message",
         "message: a dollar sign must be followed by a name, or by another dollar sign"),
        ({"colour": "red"}, "colour", "colour: unknown field"),
    ],
)  # fmt: skip
async def test_wrong_rule_is_refused_with_the_place_of_the_error(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, change: dict[str, Any], field: str, message: str
) -> None:
    async with open_alerts() as bench:
        with pytest.raises(RequestError) as caught:
            await bench.alerts.add_rule(high_cpu | change)
        assert (caught.value.field, caught.value.message) == (field, message)
        assert bench.alerts.rules() == []


async def test_name_of_a_rule_is_its_own_and_there_are_only_so_many(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any
) -> None:
    async with open_alerts(limits=Limits(alert_rules=2)) as bench:
        await bench.alerts.add_rule(high_cpu)
        with pytest.raises(RequestError, match="another rule has this name") as caught:
            await bench.alerts.add_rule(high_cpu)
        assert caught.value.code is ErrorCode.CONFLICT
        await bench.alerts.add_rule(high_cpu | {"name": "second"})
        with pytest.raises(RequestError, match="alert_rules=2"):
            await bench.alerts.add_rule(high_cpu | {"name": "third"})


async def test_removed_rule_is_asked_no_more_and_its_alert_ends(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, sender: Any
) -> None:
    async with open_alerts(senders={"webhook": sender}) as bench:
        rule = await bench.alerts.add_rule(high_cpu | {"absent": {"after": 60_000, "state": "firing"}})
        await bench.observe(cpu_utilization=0.9)
        await bench.alerts.remove_rule(rule.id)
        assert bench.types[-2:] == ["alert_resolved", "alert_rule_removed"]
        assert bench.data("alert_resolved")[0]["note"] == "the rule was removed"
        await bench.observe(cpu_utilization=0.9)
        await trio.sleep(3600)
        assert bench.types.count("alert_triggered") == 1
        assert sender.told == [("alert_triggered", "High CPU Usage"), ("alert_resolved", "High CPU Usage")]
        with pytest.raises(RequestError, match="no such rule"):
            await bench.alerts.remove_rule(rule.id)


async def test_statistics_count_what_there_is_and_was(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any
) -> None:
    async with open_alerts() as bench:
        await bench.alerts.add_rule(high_cpu)
        for value in (0.9, 0.1, 0.9):
            await bench.observe(cpu_utilization=value)
        statistics = bench.alerts.statistics()
        assert (statistics.rules, statistics.active, statistics.triggered, statistics.evaluations) == (1, 1, 2, 3)
        assert (statistics.deliveries.delivered, statistics.deliveries.waiting) == (3, 0)


async def test_only_so_many_resolved_alerts_are_remembered(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any
) -> None:
    async with open_alerts(settings=AlertSettings(resolved_alerts=2)) as bench:
        await bench.alerts.add_rule(high_cpu)
        for _ in range(3):
            await bench.observe(cpu_utilization=0.9)
            await bench.observe(cpu_utilization=0.1)
        ids = [alert["alert_id"] for alert in bench.data("alert_resolved")]
        assert [alert["alert_id"] for alert in bench.alerts.overview()["resolved"]] == [ids[2], ids[1]]


async def test_idle_alerts_cost_no_timer(autojump_clock: MockClock, open_alerts: Any, high_cpu: Any) -> None:
    async with open_alerts() as bench:
        await bench.alerts.add_rule(high_cpu)
        await bench.observe(cpu_utilization=0.9)
        await bench.observe(cpu_utilization=0.1)
        assert len(bench.hub.timeouts) == 0
