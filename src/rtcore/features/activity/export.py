"""Activities as files: JSON lines for programs, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Final

from rtcore.features.activity.activity import Activity
from rtcore.protocol.json_codec import json_dumps
from rtcore.values.events import format_timestamp

__all__ = ["csv_lines", "json_lines"]

_COLUMNS: Final = ("sequence", "timestamp", "category", "type", "actor", "title", "related")
# A cell that begins so is a formula to a spreadsheet, whoever wrote it. Source: OWASP, CSV injection.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


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
    return f"'{text}" if text.startswith(_FORMULA) else text
