"""Approvals over HTTP: read and decided by who may, within a workspace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from rtcore.values.identity import Identity

IDENTITIES = {
    "ann": Identity(user="ann", workspace="w1", roles={"approver"}),
    "bob": Identity(user="bob", workspace="w1", roles={"approver"}),
    "rob": Identity(user="rob", workspace="w1", roles={"reader"}),
    "red": Identity(user="ann", workspace="w2", roles={"approver"}),
    "lost": Identity(user="zoe", roles={"approver", "admin"}),
}


def as_(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}


@asynccontextmanager
async def asking(open_api: Any, *titles: str, **options: Any) -> AsyncIterator[tuple[Any, list[str]]]:
    """An application whose code asks; the names of what it asked."""
    async with open_api(identities=IDENTITIES) as api, trio.open_nursery() as nursery:
        for title in titles:
            nursery.start_soon(partial(api.hub.approvals.request, title, workspace="w1", **options))
            await trio.testing.wait_all_tasks_blocked()
        page = await api.hub.approvals.page("w1")
        by_title = {each.question.title: each.approval_id for each in page.approvals}
        yield api, [by_title[title] for title in titles]
        nursery.cancel_scope.cancel()


async def test_approval_is_decided(open_api: Any) -> None:
    async with asking(open_api, "Deploy?", details={"to": "prod"}) as (api, (name,)):
        listed = (await api.client.get("/api/v1/approvals", headers=as_("ann"))).json()
        (approval,) = listed["approvals"]
        assert (approval["title"], approval["details"], approval["can_decide"]) == ("Deploy?", {"to": "prod"}, True)
        path = f"/api/v1/approvals/{name}/decision"
        body = {"decision": "approve", "reason": "green"}
        answer = await api.client.post(path, json=body, headers=as_("ann"))
        assert (answer.status_code, answer.json()["approval"]["status"]) == (200, "approved")
        again = await api.client.post(path, json=body, headers=as_("ann"))
        assert again.json() == answer.json(), "a request that is sent twice is one vote"
        late = await api.client.post(path, json={"decision": "reject"}, headers=as_("bob"))
        assert (late.status_code, late.json()["error"]["code"]) == (409, "request.conflict")
        ended = (await api.client.get("/api/v1/approvals?status=approved", headers=as_("rob"))).json()
        assert ended["approvals"][0]["decision"]["by"] == "ann"


async def test_pages_are_asked_for_by_parameters(open_api: Any) -> None:
    async with asking(open_api, "1", "2", "3") as (api, names):
        names.sort()
        first = (await api.client.get("/api/v1/approvals?limit=2", headers=as_("ann"))).json()
        assert ([each["approval_id"] for each in first["approvals"]], first["more"]) == (names[:2], True)
        rest = (await api.client.get(f"/api/v1/approvals?after={names[1]}", headers=as_("ann"))).json()
        assert ([each["approval_id"] for each in rest["approvals"]], rest["more"]) == (names[2:], False)


@pytest.mark.parametrize(
    ("who", "status", "code"),
    [("rob", 403, "access.denied"), ("red", 404, "request.not_found"), ("lost", 403, "access.denied")],
)
async def test_who_may_not_decide_is_refused(open_api: Any, who: str, status: int, code: str) -> None:
    async with asking(open_api, "Deploy?") as (api, (name,)):
        path = f"/api/v1/approvals/{name}/decision"
        answer = await api.client.post(path, json={"decision": "approve"}, headers=as_(who))
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    if who == "red":
        async with asking(open_api, "Deploy?") as (api, _):
            assert (await api.client.get("/api/v1/approvals", headers=as_(who))).json()["approvals"] == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "status=all",
            'status: expected one of open, ended, approved, rejected, expired, withdrawn, got "all"',
        ),
        ("limit=0", "expected a whole number from 1 to page_approvals=100, got 0"),
        ("limit=101", "expected a whole number from 1 to page_approvals=100, got 101"),
        ("limit=x", 'expected a whole number from 1 to page_approvals=100, got "x"'),
        ("limit=", 'expected a whole number from 1 to page_approvals=100, got ""'),
        ("after=zzz", 'after: expected the id of an approval, got "zzz"'),
        ("page=1", "unknown parameter"),
    ],
)
async def test_parameter_that_cannot_be_is_refused(open_api: Any, query: str, message: str) -> None:
    async with asking(open_api) as (api, _):
        answer = await api.client.get(f"/api/v1/approvals?{query}", headers=as_("ann"))
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 400, "decision: missing"),
        ({"decision": "yes"}, 400, 'decision: expected one of approve, reject, got "yes"'),
        ({"decision": "approve", "reason": ""}, 400, "reason: expected 1 to reason_length=1000 characters, got 0"),
        (
            {"decision": "approve", "reason": "x" * 1001},
            413,
            "reason: expected 1 to reason_length=1000 characters, got 1001",
        ),
        ({"decision": "approve", "user": "bob"}, 400, "user: unknown field"),
        ([], 400, "expected an object, got an array"),
    ],
)
async def test_body_that_cannot_be_is_refused(open_api: Any, body: Any, status: int, message: str) -> None:
    async with asking(open_api, "Deploy?") as (api, (name,)):
        answer = await api.client.post(f"/api/v1/approvals/{name}/decision", json=body, headers=as_("ann"))
        assert (answer.status_code, answer.json()["error"]["message"]) == (status, message)
