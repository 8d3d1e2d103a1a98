"""The messages of a session, a page at a time, the newest first asked for."""

from __future__ import annotations

from itertools import islice

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.support_chat.chat_values import Session
from rtcore.protocol.json_codec import json_dumps
from rtcore.values.events import Json

__all__ = ["message_page"]


def message_page(session: Session, *, before: str | None, most: int, most_bytes: int) -> dict[str, Json]:
    """
    The newest messages, or the newest of those before one.

    Args:
        session: Whose.
        before: Id of the message that the page ends before; None: it ends with the newest.
        most: Messages.
        most_bytes: Bytes of JSON of these messages together; one message is told whatever its size.

    Returns:
        `messages`, oldest first, and `more`: whether there are older ones.

    Raises:
        RequestError: If no message of this id is kept.
    """
    if before is not None and before not in session.messages:
        raise RequestError(ErrorCode.NOT_FOUND, "before: no such message", field="before")
    newest = reversed(session.messages.values())
    if before is not None:
        next(message for message in newest if message.message_id == before)
    page: list[Json] = []
    size = 0
    for message in islice(newest, most):
        document = message.document()
        size += len(json_dumps(document))
        if page and size > most_bytes:
            return {"messages": page[::-1], "more": True}
        page.append(document)
    return {"messages": page[::-1], "more": next(newest, None) is not None}
