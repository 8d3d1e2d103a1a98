"""Publishing over HTTP: outcomes, exact errors, and requests sent twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from rtcore.protocol.json_codec import json_loads
from rtcore.values.channels import Namespace
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

EVENT = {"channel": "tasks", "type": "task.progress", "data": {"task_id": "t1", "progress": 40}}


def error_of(response: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and field."""
    error = response.json()["error"]
    assert error["message"]
    return response.status_code, error["code"], error["field"]


async def test_an_event_reaches_its_subscriber_and_the_outcome_says_so(open_api: Any) -> None:
    async with open_api() as api, api.hub.subscribe("tasks") as events:
        response = await api.publish({**EVENT, "lane": "high", "key": "t1"})
        assert response.status_code == 200
        outcome = response.json()
        assert (outcome["channel"], outcome["offset"], outcome["matched"]) == ("tasks", 1, 1)
        assert outcome["sent"] + outcome["queued"] + outcome["dropped"] == outcome["matched"]
        event = await anext(aiter(events))
        assert (event.type, event.data, event.lane.name, event.key) == (EVENT["type"], EVENT["data"], "HIGH", "t1")
        assert outcome["position"] == str(event.position)


async def test_a_batch_is_published_in_order(open_api: Any) -> None:
    events = [{**EVENT, "data": number} for number in range(5)]
    async with open_api() as api:
        response = await api.client.post("/api/v1/publish/batch", json={"events": events})
        assert [outcome["offset"] for outcome in response.json()["outcomes"]] == [1, 2, 3, 4, 5]
        assert [event.data for event in api.hub.history("tasks").events] == [0, 1, 2, 3, 4]


async def test_what_comes_twice_is_refused_but_for_a_key_of_json(open_api: Any) -> None:
    """Parameters and headers that differ between two readers are a way around a check; JSON has a rule of its own."""
    body, json = b'{"channel":"tasks","type":"t","data":1,"data":2}', ("Content-Type", "application/json")
    async with open_api() as api:
        response = await api.client.post("/api/v1/publish", content=body, headers=[json])
        assert response.status_code == 200
        assert [event.data for event in api.hub.history("tasks").events] == [2]
        keys = [json, ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
        response = await api.client.post("/api/v1/publish", content=body, headers=keys)
        assert error_of(response) == (400, "request.malformed", "Idempotency-Key")
        response = await api.client.get("/api/v1/channels/tasks/history?last=1&last=2")
        assert error_of(response) == (400, "request.malformed", "last")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "request.malformed", None)),
        (b"{", (400, "request.malformed", None)),
        (b"[]", (400, "request.malformed", None)),
        (b'{"channel":"c","type":"t"}', (400, "request.malformed", "data")),
        (b'{"channel":"c","data":1}', (400, "request.malformed", "type")),
        (b'{"channel":7,"type":"t","data":1}', (400, "request.malformed", "channel")),
        (b'{"channel":"a b","type":"t","data":1}', (400, "request.malformed", "channel")),
        (b'{"channel":"c","type":"","data":1}', (400, "request.malformed", "type")),
        (b'{"channel":"c","type":"dropped","data":1}', (400, "request.malformed", "type")),
        (b'{"channel":"c","type":"t","data":1,"lane":"urgent"}', (400, "request.malformed", "lane")),
        (b'{"channel":"c","type":"t","data":1,"key":""}', (400, "request.malformed", "key")),
        (b'{"channel":"c","type":"t","data":1,"chanel":2}', (400, "request.malformed", "chanel")),
        (b'{"channel":"c","type":"t","data":NaN}', (400, "request.malformed", None)),
        (b'{"channel":"c","type":"t","data":"\\ud800"}', (400, "request.malformed", None)),
        (b'{"channel":"c","type":"t","data":' + b"[" * 80 + b"]" * 80 + b"}", (400, "limit.too_deep", None)),
        (b'{"channel":"c","type":"t","data":' + b"[" * 50_000, (400, "limit.too_deep", None)),
        (b'{"channel":"c","type":"t","data":"' + b"x" * 5_000 + b'"}', (413, "limit.too_large", None)),
    ],
)
async def test_a_bad_body_gets_its_exact_answer(
    open_api: Any, body: bytes, expected: tuple[int, str, str | None]
) -> None:
    limits = Limits(publish_body_bytes=100_000 if b"[[[" in body else 4_000)
    async with open_api(limits=limits) as api:
        response = await api.client.post("/api/v1/publish", content=body, headers={"Content-Type": "application/json"})
        assert error_of(response) == expected
        assert api.hub.statistics().published == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_what_is_not_plain_json_is_415(open_api: Any, headers: dict[str, str]) -> None:
    async with open_api() as api:
        response = await api.client.post("/api/v1/publish", content=b"{}", headers=headers)
        assert error_of(response)[:2] == (415, "request.unsupported_media_type")


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=UTF-8"])
async def test_json_is_known_however_it_is_spelt(open_api: Any, media_type: str) -> None:
    async with open_api() as api:
        headers = {"Content-Type": media_type}
        body = b'{"channel":"c","type":"t","data":null}'
        assert (await api.client.post("/api/v1/publish", content=body, headers=headers)).status_code == 200


async def status_of_chunked(api: Any, next_chunk: Callable[[], Awaitable[bytes]]) -> int:
    """The status that a body gets which has no announced length and no end."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": await next_chunk(), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/api/v1/publish", "query_string": b"", "headers": headers}
    await api.app(scope, receive, send)
    status = sent[0]["status"]
    assert isinstance(status, int)
    return status


async def test_a_body_without_announced_length_is_cut_off_when_it_is_too_large(open_api: Any) -> None:
    """Chunked bodies have no Content-Length to look at."""
    chunks: list[bytes] = []

    async def next_chunk() -> bytes:
        chunks.append(b"x" * 1000)
        return chunks[-1]

    async with open_api(limits=Limits(publish_body_bytes=4_000)) as api:
        assert await status_of_chunked(api, next_chunk) == 413
    assert len(chunks) == 5


async def test_a_body_that_trickles_in_is_given_up(open_api: Any, autojump_clock: MockClock) -> None:
    async def next_chunk() -> bytes:
        await trio.sleep(3)
        return b" "

    async with open_api(limits=Limits(body_seconds=10)) as api:
        started = trio.current_time()
        assert await status_of_chunked(api, next_chunk) == 408
        assert trio.current_time() - started == pytest.approx(10)


async def test_one_bad_event_of_a_batch_keeps_all_from_being_published(open_api: Any) -> None:
    async with open_api() as api:
        response = await api.client.post("/api/v1/publish/batch", json={"events": [EVENT, EVENT, {**EVENT, "type": 1}]})
        assert error_of(response) == (400, "request.malformed", "events[2].type")
        assert api.hub.statistics().published == 0


async def test_an_event_too_large_for_messages_keeps_a_batch_from_being_published(open_api: Any) -> None:
    """The hub would refuse it in the middle."""
    async with open_api(limits=Limits(message_bytes=1_000)) as api:
        response = await api.client.post(
            "/api/v1/publish/batch", json={"events": [EVENT, {**EVENT, "data": "x" * 1_000}]}
        )
        assert error_of(response) == (413, "limit.too_large", "events[1].data")
        assert api.hub.statistics().published == 0


@pytest.mark.parametrize(("count", "expected"), [(0, (400, "request.malformed")), (4, (413, "limit.too_large"))])
async def test_a_batch_has_its_bounds(open_api: Any, count: int, expected: tuple[int, str]) -> None:
    async with open_api(limits=Limits(publish_batch_events=3)) as api:
        response = await api.client.post("/api/v1/publish/batch", json={"events": [EVENT] * count})
        assert error_of(response) == (*expected, "events")


async def test_a_batch_that_the_hub_cuts_short_says_how_far_it_came_and_is_not_repeated(open_api: Any) -> None:
    """The hub has no room for one more channel; what was published before must not be published again by a retry."""
    events = [{**EVENT, "channel": name} for name in ("a", "b", "c")]
    async with (
        open_api(limits=Limits(channels=2)) as api,
        api.hub.subscribe("a"),
        api.hub.subscribe("b"),
    ):
        for _ in range(2):
            response = await api.client.post(
                "/api/v1/publish/batch", json={"events": events}, headers={"Idempotency-Key": "k"}
            )
            assert error_of(response) == (422, "limit.too_many_channels", "events[2]")
            assert "the 2 events before this one are published" in response.json()["error"]["message"]
        assert api.hub.statistics().published == 2


async def test_the_same_key_and_body_publish_once(open_api: Any) -> None:
    async with open_api() as api:
        first = await api.publish(EVENT, Idempotency_Key="k")
        again = await api.publish(EVENT, Idempotency_Key="k")
        assert again.content == first.content
        assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
        assert api.hub.statistics().published == 1


async def test_the_same_key_with_another_body_is_refused(open_api: Any) -> None:
    async with open_api() as api:
        await api.publish(EVENT, Idempotency_Key="k")
        response = await api.publish({**EVENT, "data": 2}, Idempotency_Key="k")
        assert error_of(response) == (409, "request.conflict", "Idempotency-Key")


async def test_a_refused_request_leaves_its_key_free(open_api: Any) -> None:
    """A client that mends its mistake may use the same key."""
    async with open_api() as api:
        assert (await api.publish({**EVENT, "type": 1}, Idempotency_Key="k")).status_code == 400
        assert (await api.publish(EVENT, Idempotency_Key="k")).status_code == 200


async def test_keys_of_different_users_never_meet(open_api: Any) -> None:
    identities = {name: Identity(user=name, roles={"publisher"}) for name in ("alice", "bob")}
    async with open_api(identities=identities) as api:
        await api.publish(EVENT, Idempotency_Key="k", Authorization="Bearer alice")
        other = await api.publish({**EVENT, "data": 2}, Idempotency_Key="k", Authorization="Bearer bob")
        assert other.status_code == 200
        assert "idempotent-replayed" not in other.headers


async def test_who_may_publish_is_decided_by_the_namespace(open_api: Any) -> None:
    identities = {"reader": Identity(user="r"), "writer": Identity(user="w", roles={"ops"})}
    namespaces = {"deploy": Namespace(publish_roles=frozenset({"ops"}))}
    event = {**EVENT, "channel": "deploy:web"}
    async with open_api(identities=identities, namespaces=namespaces) as api:
        assert error_of(await api.publish(event, Authorization="Bearer reader")) == (403, "access.denied", "channel")
        assert (await api.publish(event, Authorization="Bearer writer")).status_code == 200


async def test_a_hub_that_has_ended_is_503(open_api: Any) -> None:
    async with open_api() as api:
        api.hub.close()
        response = await api.publish(EVENT)
        assert error_of(response)[:2] == (503, "server.unavailable")
        error = response.json()["error"]
        assert (error["transient"], error["retry_after"], response.headers["retry-after"]) == (True, 2.5, "3")


async def test_values_arrive_as_they_were_sent(open_api: Any) -> None:
    """Nothing between the body and the subscriber changes a value."""
    data = {"text": "ä\u2028\U0001f600\x00", "numbers": [0, -1, 1.5, 2**53, 1e300], "nothing": None, "yes": True}
    async with open_api() as api:
        await api.publish({**EVENT, "data": data})
        page = json_loads((await api.client.get("/api/v1/channels/tasks/history")).content, 10)
        assert page["events"][0]["data"] == data  # type: ignore[call-overload, index]


async def test_text_where_an_array_belongs_is_not_repeated(open_api: Any) -> None:
    """It might be a token."""
    async with open_api() as api:
        response = await api.client.post("/api/v1/publish/batch", json={"events": "S3CRET"})
        assert response.json()["error"]["message"] == "expected an array, got text"
