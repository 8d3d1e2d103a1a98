"""What an application reports figures with, and the streams that show them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

import trio

from rtcore.features.metric_streams.activity_state import ActivityBoard
from rtcore.features.metric_streams.agent_state import AgentBoard
from rtcore.features.metric_streams.correlation_state import MOST_FIGURES, CorrelationBoard
from rtcore.features.metric_streams.cost_state import OTHER, CostBook
from rtcore.features.metric_streams.scaling_state import Component, ScalingBoard
from rtcore.features.metric_streams.stream import NAME_LENGTH, Sample
from rtcore.values.events import Json

__all__ = ["Activity", "Agent", "Agents", "Correlations", "Costs", "Scaling"]


class Agent:
    """One agent: a person, a model, a worker."""

    __slots__ = ("_board", "name")

    def __init__(self, board: AgentBoard, name: str) -> None:
        self.name = name
        self._board = board

    def record(self, *, duration: float, success: bool = True) -> None:
        """
        Count a run that has just ended.

        Args:
            duration: Seconds that it took.
            success: Whether it did what it was to do.

        Raises:
            ValueError: If the duration is negative or not finite.
        """
        self._board.record(self.name, trio.current_time(), _not_negative("duration", duration), success)

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Count the block as a run: failed if an exception leaves it. One that is cancelled is not counted."""
        began = trio.current_time()
        try:
            yield
        except Exception:
            self.record(duration=trio.current_time() - began, success=False)
            raise
        else:
            self.record(duration=trio.current_time() - began)


class Agents:
    """
    `agent_performance`.

    Args:
        maximum: Most agents.
        window: Seconds that count.
    """

    def __init__(self, maximum: int, window: float) -> None:
        self._board = AgentBoard(maximum, window)

    def __call__(self, name: str) -> Agent:
        """
        An agent by its name.

        Raises:
            ValueError: If it has none, or one longer than that of a stream may be.
        """
        return Agent(self._board, _name("agent", name))

    async def sample(self) -> dict[str, Json]:
        """The sample of now."""
        await trio.lowlevel.checkpoint()
        return self._board.document(trio.current_time())


class Costs:
    """
    `cost`: what is spent, and what it comes to.

    Args:
        currency: Where none is named.
        maximum: Most categories.
        clock: Unix seconds.
    """

    def __init__(self, currency: str, maximum: int, clock: Callable[[], float]) -> None:
        self._book = CostBook(currency, maximum)
        self._clock = clock

    def add(self, amount: float | Decimal, *, category: str = OTHER, currency: str | None = None) -> None:
        """
        Count what was spent.

        Raises:
            ValueError: If the amount is negative or not finite, a name is too long, or there are too many currencies.
        """
        currency = self._book.currency if currency is None else _name("currency", currency)
        self._book.add(amount, _name("category", category), currency, self._clock())

    def total(self, currency: str | None = None) -> Decimal:
        """What was spent in all, exactly; in the currency of the settings where none is named."""
        return self._book.total(self._book.currency if currency is None else currency)

    async def sample(self) -> dict[str, Json]:
        """The sample of now."""
        await trio.lowlevel.checkpoint()
        return self._book.document(self._clock())


class Activity:
    """
    `user_activity`: how many do something; who they are is told to nobody.

    Args:
        maximum: Most users that are told apart.
    """

    def __init__(self, maximum: int) -> None:
        self._board = ActivityBoard(maximum)

    def record(self, user: str) -> None:
        """A user has just done something."""
        self._board.record(user, trio.current_time())

    async def sample(self) -> dict[str, Json]:
        """The sample of now."""
        await trio.lowlevel.checkpoint()
        return self._board.document(trio.current_time())


class Scaling:
    """
    `scaling_status`: how many of each component there are, and should be.

    Args:
        maximum: Most components.
        push: Publishes a sample.
        clock: Unix seconds.
    """

    def __init__(self, maximum: int, push: Callable[[Sample], None], clock: Callable[[], float]) -> None:
        self._board = ScalingBoard(maximum)
        self._push = push
        self._clock = clock

    def report(
        self,
        component: str,
        *,
        current: int,
        desired: int | None = None,
        minimum: int | None = None,
        maximum: int | None = None,
        reason: str | None = None,
    ) -> None:
        """
        Tell how a component stands, and everybody who watches.

        Args:
            component: Its name.
            current: How many there are.
            desired: How many there should be; None: as many as there are.
            minimum: Fewest that there may be.
            maximum: Most that there may be.
            reason: Why that many, for people.

        Raises:
            ValueError: If the name is too long.
        """
        self._board.report(
            _name("component", component),
            Component(
                current=current,
                desired=current if desired is None else desired,
                minimum=minimum,
                maximum=maximum,
                reason=reason,
                changed_at=self._clock(),
            ),
        )
        self._push(self._board.document())


class Correlations:
    """
    `ecosystem_correlation`: which figures of other streams move together.

    Args:
        latest: The newest sample of a stream.
        may_show: Whether all who see what is compared may read a stream: otherwise its figures are left out.
        figures: What is compared from the beginning: stream and field.
    """

    def __init__(
        self,
        latest: Callable[[str], Sample | None],
        may_show: Callable[[str], bool],
        figures: tuple[tuple[str, str], ...],
    ) -> None:
        self._latest = latest
        self._may_show = may_show
        self._figures = dict.fromkeys(figures)
        self._board = CorrelationBoard()

    @property
    def streams(self) -> frozenset[str]:
        """Whose samples it needs."""
        return frozenset(stream for stream, _ in self._figures)

    def add(self, stream: str, field: str) -> None:
        """
        Compare one more figure; it is needed from the next time that somebody begins to watch.

        Raises:
            ValueError: If there are as many as can be compared.
        """
        if len(self._figures) >= MOST_FIGURES:
            raise ValueError(f"there are {MOST_FIGURES} figures already")
        self._figures[stream, field] = None

    async def sample(self) -> dict[str, Json]:
        """One more round, and what it makes of the correlations."""
        await trio.lowlevel.checkpoint()
        values: dict[str, float] = {}
        for stream, name in self._figures:
            value = (self._latest(stream) or {}).get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                values[f"{stream}.{name}"] = float(value)
        self._board.take(values)
        # Looked at now, also of rounds from before: a stream may have been restricted since.
        return self._board.document({f"{stream}.{name}" for stream, name in self._figures if self._may_show(stream)})


def _not_negative(what: str, value: float) -> float:
    if not 0 <= value < math.inf:
        raise ValueError(f"{what}: expected a finite number of at least 0, got {value}")
    return value


def _name(what: str, name: str) -> str:
    if not 0 < len(name) <= NAME_LENGTH:
        raise ValueError(f"{what}: expected 1 to {NAME_LENGTH} characters, got {len(name)}")
    return name
