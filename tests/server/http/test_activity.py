"""The activity timeline over HTTP: search, export, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from rtcore.values.channels import Namespace, Scope
from rtcore.values.identity import Identity

PEOPLE = {"ann": Identity(user="ann", workspace="w1"), "bob": Identity(user="bob", workspace="w2")}


async def get(api: Any, path: str, token: str = "ann", **parameters: str) -> Any:
    return await api.client.get(path, params=parameters, headers={"Authorization": f"Bearer {token}"})


async def test_search_finds_what_is_looked_for(open_api: Any) -> None:
    async with open_api(identities=PEOPLE) as api:
        api.hub.publish("tasks", "task.completed", {"name": "one", "task_id": "t1"})
        api.hub.publish("tools", "tool.failed", {"name": "two", "task_id": "t1"})
        api.hub.publish("tasks", "task.failed", {"name": "three"})
        page = (await get(api, "/api/v1/activity", category="task,tool", related="t1", limit="1")).json()
        assert [each["title"] for each in page["activities"]] == ["two"]
        assert page["more"] is True
        before = str(page["activities"][0]["sequence"])
        page = (await get(api, "/api/v1/activity", related="t1", before=before)).json()
        assert ([each["title"] for each in page["activities"]], page["more"]) == (["one"], False)


async def test_workspaces_do_not_see_each_other(open_api: Any) -> None:
    async with open_api(identities=PEOPLE, namespaces={"team": Namespace(scope=Scope.WORKSPACE)}) as api:
        api.hub.publish("team:w1", "task.completed", {"name": "of w1"})
        for path in ("/api/v1/activity", "/api/v1/activity/export"):
            assert "of w1" in (await get(api, path)).text
            assert "of w1" not in (await get(api, path, "bob")).text


async def test_export_is_a_file(open_api: Any) -> None:
    async with open_api(identities=PEOPLE) as api:
        api.hub.publish("tasks", "task.completed", {"name": "=1+1"})
        response = await get(api, "/api/v1/activity/export", format="csv")
        assert response.headers["content-disposition"] == 'attachment; filename="activity.csv"'
        assert response.headers["content-type"].startswith("text/csv")
        header, row = csv.reader(io.StringIO(response.text, newline=""))
        assert row[header.index("title")] == "'=1+1"
        response = await get(api, "/api/v1/activity/export")
        assert response.headers["content-type"] == "application/x-ndjson"
        assert [json.loads(line)["title"] for line in response.text.splitlines()] == ["=1+1"]


async def test_limit_is_that_of_what_is_asked_for(open_api: Any) -> None:
    """An export has as many as it was asked for; a page has fewer at most, and says so."""
    async with open_api(identities=PEOPLE) as api:
        for number in range(3):
            api.hub.publish("tasks", "task.completed", {"name": str(number)})
        response = await get(api, "/api/v1/activity/export", limit="2")
        assert [json.loads(line)["title"] for line in response.text.splitlines()] == ["2", "1"]
        assert len((await get(api, "/api/v1/activity/export", limit="10000")).text.splitlines()) == 3
        response = await get(api, "/api/v1/activity", limit="101")
        words = "limit: expected a whole number from 1 to page=100, got 101"
        assert (response.status_code, response.json()["error"]["message"]) == (400, words)
        paths = (await api.client.get("/openapi.json")).json()["paths"]
        for path, most in (("/api/v1/activity", 100), ("/api/v1/activity/export", 10_000)):
            (limit,) = (each for each in paths[path]["get"]["parameters"] if each["name"] == "limit")
            assert limit["schema"]["maximum"] == most


@pytest.mark.parametrize(
    ("parameters", "status", "message"),
    [
        ({"format": "xml"}, 400, 'format: expected one of csv, jsonl, got "xml"'),
        ({"limit": "x"}, 400, 'limit: expected a whole number, got "x"'),
        ({"limit": "0"}, 400, "limit: expected a whole number from 1 to exported=10000, got 0"),
        ({"limit": "10001"}, 400, "limit: expected a whole number from 1 to exported=10000, got 10001"),
        ({"before": "1e3"}, 400, 'before: expected a whole number from 1 to 9007199254740992, got "1e3"'),
        ({"since": "yesterday"}, 400, 'since: expected an RFC 3339 timestamp, got "yesterday"'),
        ({"category": ","}, 400, "category[0]: expected 1 to 128 characters, got 0"),
        ({"text": "x" * 201}, 413, "text: expected 1 to 200 characters, got 201"),
        ({"actors": "x"}, 400, "unknown parameter"),
    ],
)
async def test_bad_parameters_are_refused(open_api: Any, parameters: Any, status: int, message: str) -> None:
    async with open_api(identities=PEOPLE) as api:
        response = await get(api, "/api/v1/activity/export", **parameters)
        assert (response.status_code, response.json()["error"]["message"]) == (status, message), response.text


async def test_without_a_token_there_is_nothing(open_api: Any) -> None:
    async with open_api(identities=PEOPLE) as api:
        assert (await api.client.get("/api/v1/activity")).status_code == 401
