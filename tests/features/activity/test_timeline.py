"""What is looked for in a timeline is found, newest first, page by page; and what is exported is safe to open."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import Any

import pytest

from rtcore.features.activity.activity import Activity, describe
from rtcore.features.activity.export import csv_lines, json_lines
from rtcore.features.activity.timeline import ActivityQuery, Timeline, search
from rtcore.values.events import Event


def activity(sequence: int, **fields: Any) -> Activity:
    given = {"timestamp": float(sequence), "category": "task", "type": "task.completed", "actor": None, "title": "t"}
    return Activity(**{"sequence": sequence, "related": {}, **given, **fields})


def timeline(*activities: Activity, kept: int = 100) -> Timeline:
    made = Timeline(kept)
    for each in activities:
        made.append(each)
    return made


ALL = timeline(
    activity(1, category="task", actor="ann", title="Index the books", related={"task_id": "t1"}),
    activity(2, category="tool", type="tool.failed", actor="bob", related={"task_id": "t1", "execution_id": "e1"}),
    activity(3, category="chat", type="chat.ended", title="ÄRGER", related={"sessionId": "s1"}),
    activity(4, category="task", type="task.failed", actor="ann"),
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [4, 3, 2, 1]),
        ({"categories": frozenset({"task"})}, [4, 1]),
        ({"types": frozenset({"tool.failed", "chat.ended"})}, [3, 2]),
        ({"actor": "ann"}, [4, 1]),
        ({"related": "t1"}, [2, 1]),
        ({"related": "s1"}, [3]),
        ({"text": "BOOKS"}, [1]),
        ({"text": "ärger"}, [3]),
        ({"text": "e1"}, [2]),
        ({"text": "ann"}, [4, 1]),
        ({"text": "failed"}, [4, 2]),
        ({"since": 2.0, "until": 4.0}, [3, 2]),
        ({"before": 3}, [2, 1]),
        ({"actor": "ann", "categories": frozenset({"chat"})}, []),
    ],
)
def test_all_that_is_given_must_be_so(query: dict[str, Any], expected: list[int]) -> None:
    found, more = search([ALL], ActivityQuery(**query), 100)
    assert [each.sequence for each in found] == expected
    assert not more


def test_oldest_is_forgotten_first() -> None:
    made = timeline(*(activity(number) for number in range(1, 6)), kept=3)
    assert [each.sequence for each in made.newest_first()] == [5, 4, 3]


@pytest.mark.parametrize("seed", range(10))
def test_pages_of_several_timelines_are_one_list(seed: int) -> None:
    rng = random.Random(seed)
    timelines = [Timeline(100) for _ in range(3)]
    for number in range(1, 101):
        rng.choice(timelines).append(activity(number, actor=rng.choice("ab")))
    got: list[int] = []
    before, more = None, True
    while more:
        page, more = search(timelines, ActivityQuery(actor="a", before=before), rng.randint(1, 9))
        got += [each.sequence for each in page]
        before = got[-1]
    everything = [each for made in timelines for each in made.newest_first() if each.actor == "a"]
    assert got == sorted((each.sequence for each in everything), reverse=True)


@pytest.mark.parametrize(
    ("data", "actor", "title", "related"),
    [
        ({"task_id": "t1", "name": "index", "user_id": "u"}, "u", "index", {"task_id": "t1", "user_id": "u"}),
        ({"agentId": "a1", "status": "idle"}, "a1", "x.y", {"agentId": "a1"}),
        ({"by": "bob", "title": "T", "name": "n"}, "bob", "T", {}),
        ({"nested": {"task_id": "t"}, "task_id": 5, "title": ""}, None, "x.y", {}),
        ([1], None, "x.y", {}),
        ("text", None, "x.y", {}),
        ({"message": "m" * 500}, None, "m" * 200, {}),
        ({f"a{n}_id": "v" for n in range(50)}, None, "x.y", {f"a{n}_id": "v" for n in range(16)}),
    ],
)
def test_event_says_who_and_what(data: Any, actor: str | None, title: str, related: dict[str, str]) -> None:
    what = describe(Event(channel="c", type="x.y", data=data, timestamp=0.0))
    assert (what.actor, what.title, what.related) == (actor, title, related)


def test_json_lines_are_one_object_each() -> None:
    lines = b"".join(json_lines([activity(1, title="a\nb"), activity(2)])).splitlines()
    assert [json.loads(line)["sequence"] for line in lines] == [1, 2]


FORMULAS = [
    *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\r\n", "\x00x", "\x1b[1m", "\t"),
    *("\uff1d1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)", "\ufe631"),
    *("\ufeff=1", " =1", "\u00a0+1", "\u3000-1", "\u200b=1", "\u202e@1", "\u2028=1", " \ufeff \uff1d1"),
]


@pytest.mark.parametrize("title", FORMULAS, ids=ascii)
def test_csv_holds_no_formulas(title: str) -> None:
    """Who opens the export in a spreadsheet must not run what somebody else wrote."""
    text = b"".join(csv_lines([activity(1, title=title, actor=title)])).decode()
    header, row = list(csv.reader(io.StringIO(text, newline="")))
    cells = dict(zip(header, row, strict=True))
    assert cells["title"] == f"'{title}"
    assert cells["actor"] == f"'{title}"


@pytest.mark.parametrize("title", ["a=1", "1-2", " a", "'=1", "", "\u202eabc", "ß+", "a\n=1", "\uff41"])
def test_text_that_is_no_formula_stays_as_it_is(title: str) -> None:
    text = b"".join(csv_lines([activity(1, title=title)])).decode()
    header, row = list(csv.reader(io.StringIO(text, newline="")))
    assert dict(zip(header, row, strict=True))["title"] == title


def test_csv_quotes_what_would_end_a_cell_or_a_row() -> None:
    title = 'a,"b"\r\nc; ä'
    text = b"".join(csv_lines([activity(1, title=title, related={"x_id": "1", "y_id": "2"})])).decode()
    header, row = list(csv.reader(io.StringIO(text, newline="")))
    assert dict(zip(header, row, strict=True))["title"] == title
    assert row[-1] == "x_id=1 y_id=2"
