"""`POST /realtime/notifications/send`: what comes of it, exact errors, and requests sent twice."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

PATH = "/realtime/notifications/send"
PEOPLE = {
    "boss": Identity(user="boss", workspace="acme", roles={"publisher"}),
    "root": Identity(user="root", workspace="acme", roles={"admin"}),
    "ann": Identity(user="ann", workspace="acme"),
    "robot": Identity(user="robot", roles={"publisher"}),
}


async def post(api: Any, body: Any, token: str = "boss", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.client.post(PATH, json=body, headers={"Authorization": f"Bearer {token}", **named})


async def test_notification_is_sent_and_shown_as_it_is_kept(open_api: Any) -> None:
    async with open_api(identities=PEOPLE) as api, api.hub.subscribe("notifications:acme:ann") as events:
        response = await post(api, {"user": "ann", "title": "Approve?", "kind": "approval", "receipts": True})
        assert response.status_code == 200
        sent = response.json()["notification"]
        assert (sent["user"], sent["workspace"], sent["kind"], sent["sender"]) == ("ann", "acme", "approval", "boss")
        event = await events.__anext__()
        assert (event.type, event.data) == ("notification", sent)
        assert await api.hub.notifications.unread("ann", workspace="acme") == 1


async def test_whole_workspace_gets_one(open_api: Any) -> None:
    async with open_api(identities=PEOPLE) as api:
        assert "user" not in (await post(api, {"workspace": "acme", "title": "t"})).json()["notification"]
        assert await api.hub.notifications.unread("anybody", workspace="acme") == 1


async def test_request_that_comes_twice_is_carried_out_once(open_api: Any) -> None:
    """Also when both are on their way at once; the second gets the reply of the first."""
    async with open_api(identities=PEOPLE) as api:
        answers: list[Any] = []

        async def ask() -> None:
            answers.append(await post(api, {"user": "ann", "title": "t"}, Idempotency_Key="k"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
        assert answers[0].content == answers[1].content
        assert sorted(answer.headers.get("idempotent-replayed", "false") for answer in answers) == ["false", "true"]
        assert await api.hub.notifications.unread("ann", workspace="acme") == 1
        other = await post(api, {"user": "ann", "title": "other"}, Idempotency_Key="k")
        assert error_of(other) == (409, "request.conflict", "Idempotency-Key")
        assert (await post(api, {"user": "ann", "title": "t"}, "root", Idempotency_Key="k")).status_code == 200
        assert await api.hub.notifications.unread("ann", workspace="acme") == 2, "a key belongs to whoever used it"


def error_of(response: Any) -> tuple[int, str, str | None]:
    """Status, code and field."""
    error = response.json()["error"]
    assert error["message"]
    return response.status_code, error["code"], error["field"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], (400, "request.malformed", None)),
        ({"user": "ann"}, (400, "request.malformed", "title")),
        ({"title": "t"}, (400, "request.malformed", "user")),
        ({"title": 5, "user": "ann"}, (400, "request.malformed", "title")),
        ({"title": "x" * 201, "user": "ann"}, (413, "limit.too_large", "title")),
        ({"title": "t", "user": "a:" * 120}, (400, "request.malformed", "user")),
        ({"title": "t", "user": "ann", "kind": "gossip"}, (400, "request.malformed", "kind")),
        ({"title": "t", "user": "ann", "level": "fatal"}, (400, "request.malformed", "level")),
        ({"title": "t", "user": "ann", "data": "x" * 900}, (413, "limit.too_large", None)),
        ({"title": "t", "user": "ann", "actions": [{"id": "a"}]}, (400, "request.malformed", "actions[0].label")),
        ({"title": "t", "user": "ann", "escalate": [{"user": "b"}]}, (400, "request.malformed", "escalate[0].after")),
        ({"title": "t", "user": "ann", "escalate": [{"user": "ann", "after": 1}]},
         (400, "request.malformed", "escalate[0].user")),
        ({"title": "t", "workspace": "acme", "escalate": [{"user": "b", "after": 1}]},
         (400, "request.malformed", "escalate")),
        ({"title": "t", "user": "ann", "sender": "root"}, (400, "request.malformed", "sender")),
        ({"title": "t", "user": "ann", "idempotency_key": "k"}, (400, "request.malformed", "idempotency_key")),
        ({"title": "t", "workspace": "other"}, (403, "access.denied", "workspace")),
    ],
)  # fmt: skip
async def test_bad_body_is_refused_with_its_field(
    open_api: Any, body: Any, expected: tuple[int, str, str | None]
) -> None:
    async with open_api(identities=PEOPLE, limits=Limits(notification_bytes=800)) as api:
        assert error_of(await post(api, body)) == expected
        assert await api.hub.store.read("notification_places") == []


@pytest.mark.parametrize(
    ("token", "body", "expected"),
    [
        ("ann", {"title": "t", "user": "bob"}, (403, "access.denied", None)),
        ("nobody", {"title": "t", "user": "bob"}, (401, "access.authentication_failed", None)),
        ("robot", {"title": "t", "user": "bob"}, (400, "request.malformed", "workspace")),
        ("robot", {"title": "t", "user": "bob", "workspace": "acme"}, (403, "access.denied", "workspace")),
    ],
)
async def test_who_may_not_send_is_told_so(
    open_api: Any, token: str, body: Any, expected: tuple[int, str, str | None]
) -> None:
    async with open_api(identities=PEOPLE) as api:
        assert error_of(await post(api, body, token)) == expected


async def test_no_role_sends_to_another_workspace(open_api: Any) -> None:
    async with open_api(identities=PEOPLE) as api:
        response = await post(api, {"workspace": "other", "title": "t"}, "root")
        assert error_of(response) == (403, "access.denied", "workspace")


async def test_key_is_of_one_user_though_names_hold_slashes(open_api: Any) -> None:
    people = {
        "one": Identity(user="b/a", workspace="w", roles={"publisher"}),
        "two": Identity(user="a", workspace="w/b", roles={"publisher"}),
    }
    async with open_api(identities=people) as api:
        body = {"channel": "news", "type": "t", "data": 1}
        for token in people:
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
            response = await api.client.post("/api/v1/publish", json=body, headers=headers)
            assert (response.status_code, "idempotent-replayed" in response.headers) == (200, False), token


@pytest.mark.parametrize("key", ["", "x" * 256, "two words"])
async def test_bad_key_is_refused(open_api: Any, key: str) -> None:
    async with open_api(identities=PEOPLE) as api:
        response = await post(api, {"user": "ann", "title": "t"}, Idempotency_Key=key)
        assert error_of(response) == (400, "request.malformed", "Idempotency-Key")


async def test_query_is_refused(open_api: Any) -> None:
    async with open_api(identities=PEOPLE) as api:
        response = await api.client.post(PATH + "?x=1", json={}, headers={"Authorization": "Bearer boss"})
        assert error_of(response) == (400, "request.malformed", "x")
