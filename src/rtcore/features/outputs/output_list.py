"""The list of outputs, page by page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rtcore.features.outputs.output import Output
from rtcore.protocol.json_codec import json_dumps, json_fragment

__all__ = ["list_page"]


def list_page(outputs: Iterable[Output[Any]], index: int, maximum_bytes: int) -> dict[str, object]:
    """
    As many outputs as one message is to have; `json_dumps` takes it.

    Args:
        outputs: All of the list, by their numbers.
        index: The first number that may be in the page.
        maximum_bytes: Most bytes of them as JSON; one is given however large it is.
    """
    texts: list[bytes] = []
    room, total, following, more = maximum_bytes, 0, index, False
    for output in outputs:
        total += 1
        if more or output.number < index:
            continue
        text = json_dumps(output.summary())
        room -= len(text) + 1
        more = room < 0 and bool(texts)
        if not more:
            texts.append(text)
            following = output.number + 1
    return {"outputs": json_fragment(b"[%b]" % b",".join(texts)), "total": total, "next": following, "more": more}
