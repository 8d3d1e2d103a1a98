"""History over HTTP: every way to ask, and every way to ask wrongly."""

from __future__ import annotations

from typing import Any

import pytest

from rtcore.values.channels import Namespace, Scope
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

PATH = "/api/v1/channels/tasks/history"


def fill(api: Any) -> None:
    """Ten events, one a second; the even ones say so."""
    for number in range(10):
        api.hub.publish(
            "tasks", "task.progress" if number % 2 else "task.status", {"n": number, "even": not number % 2}
        )
        api.around.now += 1


async def numbers(api: Any, query: str) -> list[int]:
    response = await api.client.get(f"{PATH}?{query}")
    assert response.status_code == 200, response.text
    return [event["data"]["n"] for event in response.json()["events"]]


async def test_everything_held_comes_by_default(open_api: Any) -> None:
    async with open_api() as api:
        fill(api)
        assert await numbers(api, "") == list(range(10))


async def test_a_page_can_begin_in_each_way(open_api: Any) -> None:
    async with open_api() as api:
        fill(api)
        first = (await api.client.get(f"{PATH}?limit=1")).json()["events"][0]
        assert await numbers(api, "offset=8") == [7, 8, 9]
        assert await numbers(api, "last=2") == [8, 9]
        assert await numbers(api, "seconds=2.5") == [8, 9]
        assert await numbers(api, f"timestamp={first['timestamp']}&limit=2") == [0, 1]
        assert await numbers(api, f"position={first['position']}&limit=1") == [1]
        assert await numbers(api, f"since={first['position']}&limit=1") == [1]


async def test_pages_follow_each_other_by_position_without_gap_or_repeat(open_api: Any) -> None:
    async with open_api() as api:
        fill(api)
        seen: list[int] = []
        query = "limit=3"
        while True:
            page = (await api.client.get(f"{PATH}?{query}")).json()
            seen += [event["data"]["n"] for event in page["events"]]
            if not page["more"]:
                break
            query = f"limit=3&position={page['position']}"
        assert seen == list(range(10))


async def test_a_filter_is_the_same_as_over_websocket(open_api: Any) -> None:
    async with open_api() as api:
        fill(api)
        assert await numbers(api, 'where={"even":true}&last=2') == [6, 8]
        assert await numbers(api, 'where={"type":"task.p*","n":{"gte":5}}') == [5, 7, 9]


async def test_events_look_as_they_do_over_websocket(open_api: Any) -> None:
    async with open_api() as api:
        api.hub.publish("tasks", "a", {"x": 1}, key="k")
        page = (await api.client.get(PATH)).json()
        assert set(page) == {"channel", "events", "recovered", "missing", "position", "more"}
        (event,) = page["events"]
        assert list(event) == ["type", "channel", "data", "timestamp", "offset", "key", "position"]


async def test_a_position_of_another_life_is_not_recovered(open_api: Any) -> None:
    async with open_api() as api:
        fill(api)
        page = (await api.client.get(f"{PATH}?position=0123456789-3")).json()
        assert page["recovered"] is False


async def test_an_empty_channel_has_an_empty_history_and_is_not_made(open_api: Any) -> None:
    async with open_api() as api:
        page = (await api.client.get(PATH)).json()
        assert (page["events"], page["more"]) == ([], False)
        assert api.hub.statistics().channels == 0


@pytest.mark.parametrize(
    ("query", "status", "code", "field"),
    [
        ("limit=0", 400, "request.malformed", "limit"),
        ("limit=1001", 400, "request.malformed", "limit"),
        ("limit=x", 400, "request.malformed", "limit"),
        ("limit=\u0661", 400, "request.malformed", "limit"),
        ("offset=-1", 400, "request.malformed", "offset"),
        ("offset=1e3", 400, "request.malformed", "offset"),
        ("offset=" + "9" * 5_000, 400, "request.malformed", "offset"),
        ("last=0", 400, "request.malformed", "last"),
        ("seconds=0", 400, "request.malformed", "seconds"),
        ("seconds=inf", 400, "request.malformed", "seconds"),
        ("seconds=nan", 400, "request.malformed", "seconds"),
        ("seconds=1_0", 400, "request.malformed", "seconds"),
        ("seconds=%D9%A1", 400, "request.malformed", "seconds"),
        ("seconds=%201", 400, "request.malformed", "seconds"),
        ("timestamp=yesterday", 400, "request.malformed", "timestamp"),
        ("timestamp=2025-01-15", 400, "request.malformed", "timestamp"),
        ("position=x", 422, "request.invalid_position", "position"),
        ("since=", 422, "request.invalid_position", "since"),
        ("last=1&offset=1", 400, "request.malformed", "last"),
        ("last=1&last=2", 400, "request.malformed", "last"),
        ("lats=1", 400, "request.malformed", "lats"),
        ("where={", 400, "request.malformed", "where"),
        ("where=[]", 400, "request.malformed", "where"),
        ('where={"a":{"regex":"x"}}', 422, "request.invalid_filter", "where.a.regex"),
        ("where=" + "[" * 100, 400, "limit.too_deep", "where"),
    ],
)
async def test_a_bad_question_gets_its_exact_answer(
    open_api: Any, query: str, status: int, code: str, field: str
) -> None:
    async with open_api(limits=Limits(replay_events=1000)) as api:
        response = await api.client.get(f"{PATH}?{query}")
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["field"]) == (status, code, field)


@pytest.mark.parametrize("name", ["a%20b", "%2e%2e", "a%2Fb", "x" * 256, "%C3%A4", "-"])
async def test_a_name_that_no_channel_can_have_is_404(open_api: Any, name: str) -> None:
    async with open_api() as api:
        response = await api.client.get(f"/api/v1/channels/{name}/history")
        assert response.status_code == 404
        assert response.json()["error"]["code"] in ("request.unknown_channel", "request.not_found")


async def test_reading_is_allowed_by_the_namespace(open_api: Any) -> None:
    """Nobody gets another user's data."""
    identities = {name: Identity(user=name) for name in ("alice", "bob")}
    async with open_api(identities=identities, namespaces={"inbox": Namespace(scope=Scope.USER)}) as api:
        api.hub.publish("inbox:alice", "message", "secret")
        path = "/api/v1/channels/inbox:alice/history"
        own = await api.client.get(path, headers={"Authorization": "Bearer alice"})
        other = await api.client.get(path, headers={"Authorization": "Bearer bob"})
        assert own.json()["events"][0]["data"] == "secret"
        assert (other.status_code, other.json()["error"]["code"]) == (403, "access.denied")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=1001", "expected a whole number from 1 to replay_events=1000, got 1001"),
        ("limit=x", 'expected a whole number from 1 to replay_events=1000, got "x"'),
        ("offset=" + "9" * 5_000, f'expected a whole number of at least 0, got "{"9" * 60}"... (5000 characters)'),
        ("seconds=-1", 'expected a number over 0, got "-1"'),
        ("timestamp=now", 'expected an RFC 3339 timestamp, such as 2025-01-15T12:00:00Z, got "now"'),
        ("position=here", 'not a position of this server: "here"'),
        ("where=[]", "expected a JSON object, got an array"),
    ],
)
async def test_refusal_names_the_value_and_the_limit(open_api: Any, query: str, message: str) -> None:
    async with open_api() as api:
        response = await api.client.get(f"/api/v1/channels/tasks/history?{query}")
        assert response.json()["error"]["message"] == message
