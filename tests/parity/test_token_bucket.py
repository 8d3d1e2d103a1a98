"""The token bucket, in both implementations."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture
def module(load_twin: Load) -> ModuleType:
    return load_twin("token_bucket")


def test_bucket_is_full_at_the_start_and_gives_its_burst(module: ModuleType) -> None:
    bucket = module.TokenBucket(10.0, 3, 100.0)
    assert [bucket.take(100.0) for _ in range(5)] == [True, True, True, False, False]


def test_bucket_refills_at_its_rate_and_never_past_its_burst(module: ModuleType) -> None:
    bucket = module.TokenBucket(2.0, 2, 0.0)
    assert bucket.take(0.0)
    assert bucket.take(0.0)
    assert not bucket.take(0.4)
    assert bucket.take(0.5)
    assert [bucket.take(1000.0) for _ in range(3)] == [True, True, False]


def test_wait_says_when_the_next_token_comes_and_takes_none(module: ModuleType) -> None:
    bucket = module.TokenBucket(4.0, 1, 0.0)
    assert bucket.wait(0.0) == 0.0
    assert bucket.take(0.0)
    assert bucket.wait(0.0) == 0.25
    assert bucket.wait(0.125) == 0.125
    assert bucket.take(0.25)


def test_refusal_does_not_cost_a_token(module: ModuleType) -> None:
    """A client that hammers at its limit still gets its rate."""
    bucket = module.TokenBucket(1.0, 1, 0.0)
    assert bucket.take(0.0)
    assert sum(bucket.take(step / 8) for step in range(1, 81)) == 10


def test_clock_that_steps_back_neither_gives_nor_takes(module: ModuleType) -> None:
    bucket = module.TokenBucket(1.0, 2, 100.0)
    assert bucket.take(100.0)
    assert bucket.take(50.0)
    assert not bucket.take(50.0)
    assert not bucket.take(100.5)
    assert bucket.take(101.0)


@pytest.mark.parametrize(
    ("rate", "burst"), [(0.0, 1), (-1.0, 1), (float("nan"), 1), (float("inf"), 1), (1.0, 0), (1.0, -5)]
)
def test_impossible_settings_are_refused(module: ModuleType, rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        module.TokenBucket(rate, burst, 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_twins_agree_on_random_clocks(load_both: Callable[[str], tuple[ModuleType, ModuleType]], seed: int) -> None:
    chance = random.Random(seed)
    pure, compiled = load_both("token_bucket")
    rate, burst, now = chance.uniform(0.1, 1000.0), chance.randint(1, 50), chance.uniform(0, 1e9)
    one, other = pure.TokenBucket(rate, burst, now), compiled.TokenBucket(rate, burst, now)
    for _ in range(500):
        now += chance.choice([0.0, chance.expovariate(rate), chance.expovariate(1.0), -chance.random()])
        assert one.wait(now) == other.wait(now)
        answers = one.take(now), other.take(now)
        assert answers[0] is answers[1]
