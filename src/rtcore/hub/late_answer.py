"""The answer to a command that has to be waited for, until somebody waits for it or gives it up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator

from attrs import define

from rtcore.hub.command_context import Reply

__all__ = ["LateAnswer"]


@define(eq=False)
class LateAnswer:
    """To be awaited once, or given up."""

    waiting: Awaitable[Reply]
    """What the command's handler returned."""
    answer: Callable[[Reply | Exception], None]
    """Told the outcome; must not raise."""

    def __await__(self) -> Generator[object, object, None]:
        return self._answer().__await__()

    async def _answer(self) -> None:
        try:
            outcome: Reply | Exception = await self.waiting
        except Exception as error:  # one failing command must not end the connection
            outcome = error
        self.answer(outcome)

    def close(self) -> None:
        """Give it up: what was never begun is not carried out."""
        if isinstance(self.waiting, Coroutine):
            self.waiting.close()
