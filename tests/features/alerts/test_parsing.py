"""The language of conditions: what is taken, how it groups, and where the error of a wrong one is."""

from __future__ import annotations

import pytest

from rtcore.errors import ConditionError
from rtcore.features.alerts.evaluation import evaluate
from rtcore.features.alerts.expression import (
    Absolute,
    Arithmetic,
    Changed,
    Comparison,
    Expression,
    Literal,
    Logic,
    Name,
    Negative,
    Not,
    OverWindow,
    field_needs,
)
from rtcore.features.alerts.parsing import parse_condition
from rtcore.features.alerts.watched_fields import WatchedFields
from rtcore.values.limits import Limits

LIMITS = Limits()


def shown(node: Expression) -> str:
    """A tree with all its brackets."""
    match node:
        case Literal(value):
            return str(value).lower() if isinstance(value, bool) else repr(value)
        case Name(name):
            return name
        case Negative(operand):
            return f"(-{shown(operand)})"
        case Absolute(operand):
            return f"abs({shown(operand)})"
        case Not(operand):
            return f"(not {shown(operand)})"
        case Arithmetic(sign, left, right) | Comparison(sign, left, right) | Logic(sign, left, right):
            return f"({shown(left)} {sign} {shown(right)})"
        case OverWindow(function, name, seconds, parameter):
            return f"{function.name}({name}, {parameter:g}, {seconds:g})"
        case Changed(name):
            return f"changed({name})"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("cpu_utilization > 0.8", "(cpu_utilization > 0.8)"),
        ("a and b or c and d", "((a and b) or (c and d))"),
        ("not a and b", "((not a) and b)"),
        ("not a > 1", "(not (a > 1.0))"),
        ("not not a", "(not (not a))"),
        ("a - b - c > 0", "(((a - b) - c) > 0.0)"),
        ("a + b * c / d % e >= 1", "((a + (((b * c) / d) % e)) >= 1.0)"),
        ("(a + b) * c < -d", "(((a + b) * c) < (-d))"),
        ("- -a * 2 == .5e1", "(((-(-a)) * 2.0) == 5.0)"),
        ("a or b or c", "((a or b) or c)"),
        ("avg(latency_ms, 60s) > 1.5", "(avg(latency_ms, 0, 60) > 1.5)"),
        ("percentile(db.latency, 99, 5m) > 200", "(percentile(db.latency, 99, 300) > 200.0)"),
        ("anomaly(errors, 3, 1h)", "anomaly(errors, 3, 3600)"),
        (
            "rate(total, 500ms) > 1 or delta(total, 1d) > 2",
            "((rate(total, 0, 0.5) > 1.0) or (delta(total, 0, 86400) > 2.0))",
        ),
        ("abs(a - b) > 3", "(abs((a - b)) > 3.0)"),
        ("changed(status) and status != 'ok'", "(changed(status) and (status != 'ok'))"),
        ('status == "a \\" and \\\\"', "(status == 'a \" and \\\\')"),
        ("`metrics:web`==1", "(metrics:web == 1.0)"),
        ("`and` == true", "(and == true)"),
        ("avg > 1", "(avg > 1.0)"),
        ("healthy", "healthy"),
        ("true", "true"),
        ("a\t>\n1", "(a > 1.0)"),
    ],
)
def test_condition_groups_as_one_expects(text: str, tree: str) -> None:
    assert shown(parse_condition(text, LIMITS)) == tree


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: expected a condition, such as cpu_utilization > 0.8"),
        ("cpu_utilization >", 'column 18: expected a value after ">", got the end'),
        ("> 1", 'column 1: expected a value, got ">"'),
        ("a > 1 b", 'column 7: expected an operator or the end after "1", got "b"'),
        (
            "a > 1 AND b > 2",
            'column 7: expected an operator or the end after "1", got "AND"; write "and" in small letters',
        ),
        ("a = 1", 'column 3: "=" is not known; use "=="'),
        ("a && b", 'column 3: "&&" is not known; use "and"'),
        ("!a", 'column 1: "!" is not known; use "not"'),
        ("1 < a < 2", 'column 7: comparisons do not chain; join two with "and"'),
        ("(a > 1", 'column 7: expected ")" after "1", got the end'),
        ("a > 1)", 'column 6: expected an operator or the end after "1", got ")"'),
        ("a + 1", "column 1: expected a comparison, such as value > 0.8, got a number"),
        ("'ok'", "column 1: expected a comparison, such as value > 0.8, got text"),
        ('a > "x"', 'column 5: ">" needs a number, got text'),
        ("a + true > 1", 'column 5: "+" needs a number, got true or false'),
        ("not 5", 'column 5: "not" needs true or false, got a number'),
        ("a and 5", 'column 7: "and" needs true or false, got a number'),
        ("(a > 1) == 5", 'column 9: "==" compares true or false with a number, which are never equal'),
        ("5s > a", 'column 1: "5s" is a duration, which stands only in a function over a window'),
        ("a > 5x", 'column 6: "x" is no unit of time; there are ms, s, m, h, d'),
        ("a > 1e999", "column 5: number is too large"),
        (
            "a.__class__() > 1",
            'column 1: no function "a.__class__"; there are avg, min, max, sum, count, rate, delta, '
            "stddev, percentile, anomaly, abs, changed",
        ),
        (
            "__import__('os')",
            'column 1: no function "__import__"; there are avg, min, max, sum, count, rate, delta, '
            "stddev, percentile, anomaly, abs, changed",
        ),
        ("avg(1, 60s) > 1", 'column 5: expected a field, as in avg(field, 60s), after "(", got "1"'),
        ("avg(a) > 1", 'column 6: expected "," after "a", got ")"'),
        ("avg(a, 60) > 1", 'column 8: expected a duration, as in avg(field, 60s), after ",", got "60"'),
        ("avg(a, 0s) > 1", "column 8: expected a window over 0 and up to alert_window_seconds=86400, got 0s"),
        ("avg(a, 2d) > 1", "column 8: expected a window over 0 and up to alert_window_seconds=86400, got 2d"),
        ("percentile(a, 101, 1m) > 1", "column 15: expected a number from 0 to 100, got 101"),
        (
            "percentile(a, b, 1m) > 1",
            'column 15: expected a number, as in percentile(field, 95, 60s), after ",", got "b"',
        ),
        ("anomaly(a, 0, 1m)", "column 12: expected a number over 0, got 0"),
        ("avg(avg(a, 1s), 1s) > 1", 'column 8: expected "," after "avg", got "("'),
        ("a > 'x", "column 5: text has no end, or an escape other than of a quote and of a backslash"),
        ("a > 'x\\n'", "column 5: text has no end, or an escape other than of a quote and of a backslash"),
        ("`a > 1", "column 1: name in back quotes has no end"),
        ("a ** 2 > 1", 'column 4: expected a value after "*", got "*"'),
        ("a[0] > 1", "column 2: unexpected character '['"),
        ("a.b. > 1", "column 4: unexpected character '.'"),
        ("\u0430 > 1", "column 1: unexpected character '\\u0430'"),
        ("lambda: 1", "column 7: unexpected character ':'"),
    ],
)
def test_wrong_condition_is_refused_with_the_column(text: str, message: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_condition(text, LIMITS)
    assert str(caught.value) == message
    assert message.startswith(f"column {caught.value.column}: ")


@pytest.mark.parametrize(
    ("text", "limits", "message"),
    [
        (
            "a" * 11,
            Limits(alert_condition_length=10),
            "column 11: condition of 11 characters exceeds alert_condition_length=10",
        ),
        (
            "a + b > 1",
            Limits(alert_condition_nodes=4),
            "column 9: condition has more than alert_condition_nodes=4 names, values, operators and brackets",
        ),
        (
            "((((a))))",
            Limits(alert_condition_nodes=4),
            "column 5: condition has more than alert_condition_nodes=4 names, values, operators and brackets",
        ),
        (
            "min(a, 1s) > max(b, 1s)",
            Limits(alert_condition_windows=1),
            "column 14: more than alert_condition_windows=1 functions over a window",
        ),
    ],
)
def test_cost_of_a_condition_is_settled_when_it_is_read(text: str, limits: Limits, message: str) -> None:
    """What is refused here cannot run away later."""
    with pytest.raises(ConditionError) as caught:
        parse_condition(text, limits)
    assert str(caught.value) == message


@pytest.mark.parametrize(("opening", "closing"), [("(", ")"), ("-", ""), ("abs(", ")"), ("abs(-(", "))")])
def test_deepest_nesting_that_limits_can_allow_fits_on_the_stack(opening: str, closing: str) -> None:
    """Reading and asking a condition are recursions: their depth must be bounded whatever the setting."""
    limits = Limits(alert_condition_nodes=150, alert_condition_length=100_000)
    deepest = 147 // sum(map(opening.count, "(-"))
    tree = parse_condition(opening * deepest + "a" + closing * deepest + " > 1", limits)
    fields = WatchedFields(limits.alert_window_samples)
    view = fields.watch("rule", None, field_needs(tree))
    fields.observe("s", {"a": 0}, 0.0)
    assert evaluate(tree, view).truth is False
    with pytest.raises(ConditionError, match="more than alert_condition_nodes=150"):
        parse_condition(opening * 10_000, limits)


def test_condition_says_what_must_be_remembered() -> None:
    condition = parse_condition("a > 1 and avg(a, 5s) > max(a, 1m) and changed(b)", LIMITS)
    assert {name: needs.seconds for name, needs in field_needs(condition).items()} == {"a": 60.0, "b": 0.0}
