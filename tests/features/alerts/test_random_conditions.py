"""Seeded random conditions: the language has one error of its own, and no input gets past its limits."""

from __future__ import annotations

import random
import sys

from rtcore.errors import ConditionError
from rtcore.features.alerts.evaluation import evaluate
from rtcore.features.alerts.expression import field_needs, parts_of
from rtcore.features.alerts.parsing import FUNCTION_NAMES, parse_condition
from rtcore.features.alerts.watched_fields import WatchedFields
from rtcore.values.events import Json
from rtcore.values.limits import Limits

LIMITS = Limits(alert_window_samples=16)
FIELDS = ("cpu", "latency_ms", "db.size", "status", "`odd name`", "missing")
WORDS = (
    *FIELDS, *FUNCTION_NAMES, "and", "or", "not", "true", "false", "<", "<=", ">", ">=", "==", "!=", "+", "-", "*", "/",
    "%", "(", ")", ",", "0", "0.8", "1e308", "1e999", "60s", "5m", "3", '"ok"', "'", '"', "=", "&&", "`", ".", "\0",
    "é", " ",
)  # fmt: skip
VALUES: tuple[Json, ...] = (None, True, False, 0, 1, -1.5, 1e308, -1e308, 2**63, 10**400, "ok", "", [], {"size": 3}, {})


def rubbish(dice: random.Random) -> str:
    return dice.choice(("", " ")).join(dice.choices(WORDS, k=dice.randint(0, 40)))


def truth(dice: random.Random, depth: int) -> str:
    """A condition that the grammar allows, whatever its kinds."""
    if depth <= 0:
        return dice.choice(
            (*FIELDS, "true", f"changed({dice.choice(FIELDS)})", f"anomaly({dice.choice(FIELDS)}, 2, 1m)")
        )
    shape = dice.randrange(4)
    if shape == 0:
        return f"not {truth(dice, depth - 1)}"
    if shape == 1:
        return f"({truth(dice, depth - 1)} {dice.choice(('and', 'or'))} {truth(dice, depth - 1)})"
    return f"{number(dice, depth - 1)} {dice.choice(('<', '<=', '>', '>=', '==', '!='))} {number(dice, depth - 1)}"


def number(dice: random.Random, depth: int) -> str:
    if depth <= 0:
        function = dice.choice(("avg", "min", "max", "sum", "count", "rate", "delta", "stddev"))
        over = f"{function}({dice.choice(FIELDS)}, 1m)"
        return dice.choice((*FIELDS, "0", "1e308", over, f"percentile({dice.choice(FIELDS)}, 90, 5s)"))
    shape = dice.randrange(3)
    if shape == 0:
        return f"-{number(dice, depth - 1)}"
    if shape == 1:
        return f"abs({number(dice, depth - 1)})"
    return f"({number(dice, depth - 1)} {dice.choice('+-*/%')} {number(dice, depth - 1)})"


def sample(dice: random.Random) -> dict[str, Json]:
    names = ("cpu", "latency_ms", "db.size", "db", "status", "odd name")
    return {name: dice.choice(VALUES) for name in names if dice.random() < 0.8}


def test_random_text_is_a_condition_or_a_condition_error() -> None:
    dice = random.Random(20_250_115)
    taken = 0
    columns = []
    for _ in range(20_000):
        text = rubbish(dice)
        try:
            tree = parse_condition(text, LIMITS)
        except ConditionError as error:
            columns.append((error.column, len(text)))
            continue
        taken += 1
        assert sum(1 for _ in parts_of(tree)) <= LIMITS.alert_condition_nodes
    assert taken > 100
    assert all(1 <= column <= length + 1 for column, length in columns)


def test_random_conditions_over_random_samples_never_raise() -> None:
    """Whatever types, sizes and gaps the samples have: true, false, or unknown with a reason."""
    dice = random.Random(42)
    verdicts = {True: 0, False: 0, None: 0}
    for _ in range(1500):
        text = truth(dice, dice.randint(0, 4))
        try:
            tree = parse_condition(text, LIMITS)
        except ConditionError:
            continue  # kinds that do not go together, or too much of it
        fields = WatchedFields(LIMITS.alert_window_samples)
        view = fields.watch("rule", dice.choice((None, "s")), field_needs(tree))
        for second in range(20):
            fields.observe("s", sample(dice), float(second))
            view.now = float(second)
            verdict = evaluate(tree, view)
            assert (verdict.truth is None) == (verdict.reason is not None), text
            verdicts[verdict.truth] += 1
    assert min(verdicts.values()) > 1000, verdicts


def test_random_bytes_do_not_reach_the_recursion_limit() -> None:
    dice = random.Random(7)
    depth = sys.getrecursionlimit()
    for _ in range(300):
        text = "".join(dice.choices(("(", "-", "abs(", "not ", "a", "+"), k=300))
        try:
            parse_condition(text, LIMITS)
        except ConditionError:
            continue
    assert sys.getrecursionlimit() == depth
