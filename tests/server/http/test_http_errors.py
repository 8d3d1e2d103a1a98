"""Errors over HTTP: one shape, and a status for every code."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest
import trio
from starlette.requests import Request
from starlette.responses import Response
from trio.testing import memory_stream_pair

from rtcore.errors import AuthenticationError, ErrorCode, RequestError
from rtcore.features.delivery_queue.settings import QueueSettings
from rtcore.features.settings import FeatureSettings
from rtcore.features.support_chat.settings import SupportChatSettings
from rtcore.protocol.json_codec import json_loads
from rtcore.server.http_bridge import BridgeConfig, serve_http
from rtcore.server.http_context import HttpContext
from rtcore.server.http_errors import HTTP_STATUS, JSONResponse, error_response, refusal_body
from rtcore.server.http_guard import Audience, RouteRule
from rtcore.server.rest.rest_module import RestModule
from rtcore.server.revocation import RevocationList
from rtcore.values.identity import Identity


def test_every_code_has_a_status() -> None:
    assert set(HTTP_STATUS) == set(ErrorCode)
    assert all(400 <= status < 600 for status in HTTP_STATUS.values())


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_has_the_same_shape(code: ErrorCode) -> None:
    response = error_response(RequestError(code, "words", retry_after=0.2, field="a[0]"))
    assert response.status_code == HTTP_STATUS[code]
    assert json_loads(bytes(response.body), 3) == {
        "error": {
            "code": code.value,
            "message": "words",
            "transient": RequestError(code, "").transient,
            "retry_after": 0.2,
            "field": "a[0]",
        }
    }
    assert response.headers["retry-after"] == "1", "whole seconds, rounded up"


def test_a_challenge_comes_with_every_401() -> None:
    """Source: RFC 9110, section 15.5.2; RFC 6750, section 3."""
    missing = error_response(RequestError(ErrorCode.AUTHENTICATION_REQUIRED, "a token is needed"))
    wrong = error_response(AuthenticationError("no", code=ErrorCode.TOKEN_EXPIRED))
    assert missing.headers["www-authenticate"] == 'Bearer realm="rtcore"'
    assert wrong.headers["www-authenticate"] == 'Bearer realm="rtcore", error="invalid_token"'


async def test_every_503_says_when_to_come_again(open_api: Any) -> None:
    """Where nothing better is known, what the server is set to tell."""
    features = FeatureSettings(queues=QueueSettings(jobs=1), support_chat=SupportChatSettings(desks=1))
    roles = {"admin", "publisher", "support_chat_reporter"}
    people = {name: Identity(user=name, workspace=name, roles=roles) for name in "ab"}
    revocations = RevocationList(maximum=1)
    session = {"session_id": "s", "customer": "c"}
    async with open_api(features=features, identities=people, revocations=revocations) as api:
        for path, first, second in (
            ("/api/v1/revoke", {"user": "x"}, {"user": "y"}),
            ("/api/v1/queues/q/jobs", {"data": 1}, {"data": 2}),
            ("/api/v1/admin/chat-dashboard/reports/open_session", session, session),
        ):
            taken, refused = [
                await api.client.post(path, json=body, headers={"Authorization": f"Bearer {who}"})
                for body, who in ((first, "a"), (second, "b" if second is first else "a"))
            ]
            error = refused.json()["error"]
            assert (taken.status_code, refused.status_code, error["code"]) == (200, 503, "limit.busy"), path
            assert (error["retry_after"], refused.headers["retry-after"]) == (2.5, "3")
        document = (await api.client.get("/openapi.json")).json()
    declared = document["components"]["responses"]["Error503"], document["paths"]["/readyz"]["get"]["responses"]["503"]
    assert all(response["headers"]["Retry-After"]["required"] for response in declared)


@pytest.mark.parametrize("status", [400, 404, 405, 408, 413, 414, 417, 431, 500, 501, 505])
def test_a_refusal_by_status_alone_has_the_shape_too(status: int) -> None:
    document = json_loads(refusal_body(status), 3)
    assert isinstance(document, dict)
    assert set(document["error"]) == {"code", "message", "transient", "retry_after", "field"}  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [math.nan, "\ud800", {1}], ids=["nan", "surrogate", "set"])
async def test_a_document_that_json_cannot_carry_is_a_fault_of_ours(
    open_api: Any, http_client: Any, caplog: pytest.LogCaptureFixture, bad: object
) -> None:
    """Whoever asked for nothing wrong is not told that the request is malformed; the log says what is to be mended."""

    async def broken(context: HttpContext, request: Request, identity: Identity) -> Response:
        return JSONResponse({"v": bad})

    rule = RouteRule("GET", "/broken", Audience.EVERYONE, broken)
    module = RestModule(rules=(rule,), paths=lambda writer, limits: {}, schemas=lambda limits: {})
    near, far = memory_stream_pair()
    async with open_api(rest=[module]) as api, trio.open_nursery() as nursery:
        request = b"GET /broken HTTP/1.1\r\nHost: localhost\r\n\r\n"
        nursery.start_soon(lambda: serve_http(api.app, far, request, config=BridgeConfig()))
        status, _, body = await http_client(near).reply()
        assert status == 500
        assert orjson.loads(body)["error"]["code"] == "server.internal"
        await near.aclose()
    assert "not representable in JSON" in caplog.text
