"""Activities as files: JSON lines for programs, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from rtcore.features.activity.activity import Activity
from rtcore.protocol.json_codec import json_dumps
from rtcore.values.events import format_timestamp

__all__ = ["csv_lines", "json_lines"]

_COLUMNS: Final = ("sequence", "timestamp", "category", "type", "actor", "title", "related")
_OPENERS: Final = frozenset("=+-@")
_UNSEEN: Final = frozenset(("Cc", "Cf", "Zl", "Zp", "Zs"))
"""Unicode categories of what a spreadsheet may pass over, or cut off, before it looks for a formula."""


def json_lines(activities: Iterable[Activity]) -> Iterator[bytes]:
    """One JSON object a line."""
    return (json_dumps(activity.document()) + b"\n" for activity in activities)


def csv_lines(activities: Iterable[Activity]) -> Iterator[bytes]:
    """
    A header and a row each, in UTF-8 with CRLF; text that would be a formula has an apostrophe before it.

    Source: RFC 4180.
    """
    yield _row(_COLUMNS)
    for activity in activities:
        related = " ".join(f"{name}={value}" for name, value in activity.related.items())
        yield _row(
            (
                activity.sequence,
                format_timestamp(activity.timestamp),
                _cell(activity.category),
                _cell(activity.type),
                _cell(activity.actor or ""),
                _cell(activity.title),
                _cell(related),
            )
        )


def _row(cells: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def _cell(text: str) -> str:
    return f"'{text}" if _may_be_formula(text) else text


def _may_be_formula(text: str) -> bool:
    """
    Whether a cell may be a formula to some spreadsheet, whoever wrote it: also in full width, or behind what is unseen.

    A control character at the beginning is enough, since programs differ in what they make of it.

    Source: OWASP, CSV injection.
    """
    if text and unicodedata.category(text[0]) == "Cc":
        return True
    first = next((char for char in text if unicodedata.category(char) not in _UNSEEN), "")
    return unicodedata.normalize("NFKC", first) in _OPENERS
