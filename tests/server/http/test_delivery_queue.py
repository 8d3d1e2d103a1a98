"""Queues over HTTP: putting a job, looking at queues, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from rtcore.values.identity import Identity

PEOPLE = {
    "ann": Identity(user="ann", workspace="w1", roles={"publisher"}),
    "amy": Identity(user="amy", workspace="w1", roles={"publisher"}),
    "ann elsewhere": Identity(user="ann", workspace="w3", roles={"publisher"}),
    "bob": Identity(user="bob", workspace="w2", roles={"worker"}),
    "eve": Identity(user="eve", workspace="w1", roles={"reader"}),
    "nobody": Identity(user="nobody", roles={"admin"}),
}


async def get(api: Any, path: str, token: str = "ann", **parameters: str) -> Any:
    return await api.client.get(path, params=parameters or None, headers={"Authorization": f"Bearer {token}"})


async def put(api: Any, body: Any, token: str = "ann", queue: str = "emails", key: str | None = None) -> Any:
    path = f"/api/v1/queues/{queue}/jobs"
    headers = {"Authorization": f"Bearer {token}"} | ({} if key is None else {"Idempotency-Key": key})
    return await api.client.post(path, json=body, headers=headers)


async def test_job_is_put_once_and_the_queue_tells_of_it(open_api: Any) -> None:
    async with open_api(identities=PEOPLE) as api:
        first = (await put(api, {"data": {"to": "x"}, "key": "k", "priority": "high"})).json()
        again = (await put(api, {"data": {"to": "x"}, "key": "k"})).json()
        assert (first["duplicate"], first["status"], first["queue"]) == (False, "waiting", "emails")
        assert again == {**first, "duplicate": True}
        figures = (await get(api, "/api/v1/queues/emails")).json()
        assert (figures["waiting"], figures["leased"], figures["dead"]) == (1, 0, 0)
        assert (await get(api, "/api/v1/queues")).json() == {"queues": [figures]}
        async with api.hub.queues.open("emails", workspace="w1").consume() as jobs:
            job = await jobs.__anext__()
            assert (job.data, job.priority) == ({"to": "x"}, "high")
            await job.ack()


async def test_request_that_is_sent_twice_puts_one_job(open_api: Any) -> None:
    """With an Idempotency-Key, as when publishing: its owner alone, and this request alone."""
    async with open_api(identities=PEOPLE) as api:
        first = await put(api, {"data": 1}, key="i1")
        again = await put(api, {"data": 1}, key="i1")
        assert (again.status_code, again.json()) == (200, first.json())
        assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
        for body, queue in (({"data": 2}, "emails"), ({"data": 1}, "others")):
            refused = await put(api, body, queue=queue, key="i1")
            error = refused.json()["error"]
            assert (refused.status_code, error["code"], error["field"]) == (409, "request.conflict", "Idempotency-Key")
        for token, key in (("amy", "i1"), ("ann", "i2"), ("ann elsewhere", "i1")):
            assert "idempotent-replayed" not in (await put(api, {"data": 1}, token, key=key)).headers
        assert [queue.statistics().waiting for queue in api.hub.queues.all("w1")] == [3]
        assert (await put(api, {"data": 1}, key="i 1")).status_code == 400


async def test_refused_request_leaves_its_key_free(open_api: Any) -> None:
    async with open_api(identities=PEOPLE) as api:
        assert (await put(api, {"data": 1, "delay": -1}, key="i1")).status_code == 400
        assert (await put(api, {"data": 1}, key="i1")).status_code == 200


async def test_workspaces_do_not_see_each_others_queues(open_api: Any) -> None:
    async with open_api(identities=PEOPLE) as api:
        await put(api, {"data": 1})
        assert (await get(api, "/api/v1/queues", "bob")).json() == {"queues": []}
        assert (await get(api, "/api/v1/queues/emails", "bob")).status_code == 404
        for name, status in (("emails", 404), ("a b", 400), ("q" * 300, 413)):
            refused = await get(api, f"/api/v1/queues/{name}", "bob")
            assert (refused.status_code, refused.json()["error"]["field"]) == (status, "name"), "as the path calls it"


@pytest.mark.parametrize(
    ("body", "queue", "token", "status", "message"),
    [
        ({"data": 1, "delay": -1}, "emails", "ann", 400, "delay: expected a number of at least 0, got -1"),
        ({"data": 1, "priority": 1}, "emails", "ann", 400, "priority: expected one of high, normal, low, got 1"),
        ({"data": 1, "datum": 1}, "emails", "ann", 400, "datum: unknown field"),
        ([], "emails", "ann", 400, "expected an object, got an array"),
        ({"data": "x" * 300_000}, "emails", "ann", 413, "data: 300002 bytes exceed data_bytes=262144"),
        ({"data": 1, "key": "k" * 129}, "emails", "ann", 413, "key: 129 characters exceed key_characters=128"),
        ({"key": "k"}, "emails", "ann", 400, "data: missing"),
        (
            {}, "a b", "ann", 400,
            "name: expected letters, digits, '_', '.' or '-', a letter or digit first, got \"a b\"",
        ),
        ({}, "q" * 65, "ann", 413, "name: expected 1 to 64 characters, got 65"),
        ({}, "emails", "bob", 403, "needs one of the roles admin, publisher"),
        ({}, "emails", "eve", 403, "needs one of the roles admin, publisher"),
        ({}, "emails", "nobody", 403, "queues belong to a workspace, and the token names none"),
    ],
)
async def test_bad_jobs_are_refused(
    open_api: Any, body: Any, queue: str, token: str, status: int, message: str
) -> None:
    async with open_api(identities=PEOPLE) as api:
        response = await put(api, body, token, queue)
        assert (response.status_code, response.json()["error"]["message"]) == (status, message)
        assert not api.hub.queues.all("w1")


@pytest.mark.parametrize(
    ("path", "token", "status", "message"),
    [
        ("/api/v1/queues/nowhere", "ann", 404, "name: no such queue"),
        ("/api/v1/queues/a:b", "ann", 400, "name: expected letters"),
        ("/api/v1/queues?limit=1", "ann", 400, "unknown parameter"),
        ("/api/v1/queues", "eve", 403, "needs one of the roles admin, publisher, worker"),
        ("/api/v1/queues/emails", "eve", 403, "needs one of the roles admin, publisher, worker"),
        ("/api/v1/queues", "nobody", 403, "queues belong to a workspace"),
    ],
)
async def test_bad_looks_are_refused(open_api: Any, path: str, token: str, status: int, message: str) -> None:
    async with open_api(identities=PEOPLE) as api:
        response = await get(api, path, token)
        assert response.status_code == status
        assert response.json()["error"]["message"].startswith(message)
