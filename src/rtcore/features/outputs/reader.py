"""Reading an output in the producer's process."""

from __future__ import annotations

from typing import Any, Self, cast

from rtcore.errors import OutputCancelled, OutputFailed, RtcoreError
from rtcore.features.outputs.output import Output
from rtcore.features.outputs.output_state import Content, Kind, OutputStatus
from rtcore.hub.subscription import Subscription

__all__ = ["OutputReader"]


class OutputReader:
    """
    The content of one output, stretch by stretch, as an async iterator; it ends where the output does.

    Args:
        output: What is read.
        events: Its channel, subscribed to just now.
        index: Where to begin.
    """

    def __init__(self, output: Output[Any], events: Subscription, index: int) -> None:
        self.index = index
        """Characters or items that have been read, or passed over since they are no longer kept."""
        self._output = output
        self._events = events
        self._missed = True  # what was written before the subscription

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Content:
        """
        The next stretch; a checkpoint. Cancelling it loses nothing.

        Raises:
            OutputFailed: If the producer failed.
            OutputCancelled: If somebody asked for the end.
            HubClosed: If the hub has ended.
        """
        state = self._output.state
        while True:
            if self._missed or state.ended:
                self._missed = False
                content = state.content(self.index)
                if content.end > max(self.index, content.index):
                    self.index = content.end
                    return content
            if state.ended:
                self._raise_end()
            event = await self._events.__anext__()
            if event.type != "output.chunk":  # an end; or a notice of what this reader was too slow for
                self._missed = True
                continue
            content = self._content(cast("dict[str, Any]", event.data))
            if content.index > self.index:
                self._missed = True
            elif content.end > self.index:
                self.index = content.end
                return content

    def _content(self, data: dict[str, Any]) -> Content:
        """A chunk's stretch, from where this reader stands."""
        begin = max(int(data["index"]), min(self.index, int(data["index"]) + len(data.get("text") or data["items"])))
        skip = begin - int(data["index"])
        if self._output.state.kind is Kind.TEXT:
            return Content(begin, data["text"][skip:])
        return Content(begin, items=tuple(data["items"][skip:]))

    def _raise_end(self) -> None:
        status, reason = self._output.state.status, self._output.reason
        error: RtcoreError | None = None
        if status is OutputStatus.FAILED:
            error = OutputFailed(f"output {self._output.output_id} failed: {reason}")
        elif status is OutputStatus.CANCELLED:
            error = OutputCancelled(
                f"output {self._output.output_id} was cancelled" + (f": {reason}" if reason else "")
            )
        if error is not None:
            raise error
        raise StopAsyncIteration
