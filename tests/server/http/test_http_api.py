"""The application as a whole: who is let in, how often, from which pages, and what the open routes say."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rtcore.server.authentication import Authenticator, issue_token
from rtcore.server.http_api import ROUTES
from rtcore.server.origins import OriginPolicy
from rtcore.server.proxies import ProxyTrust
from rtcore.server.revocation import RevocationList
from rtcore.server.settings import AuthenticationSettings, KeySettings
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

STATS = "/api/v1/realtime/stats"
EVENT = {"channel": "tasks", "type": "task.progress", "data": {}}
ADMIN = {"admin": Identity(user="root", roles={"admin"}), "reader": Identity(user="r")}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# Probes


async def test_a_probe_tells_life_from_readiness(open_api: Any) -> None:
    async with open_api(identities={}) as api:
        for started, draining, status, word in (
            (False, False, 503, "starting"),
            (True, False, 200, "ready"),
            (True, True, 503, "draining"),
        ):
            api.around.started, api.around.draining = started, draining
            ready = await api.client.get("/readyz")
            assert (ready.status_code, ready.json()) == (status, {"status": word})
            assert ready.headers.get("retry-after") == ("3" if status == 503 else None)
            assert (await api.client.get("/healthz")).json() == {"status": "ok"}


async def test_probes_are_never_limited(open_api: Any) -> None:
    async with open_api(limits=Limits(message_burst=1)) as api:
        assert {(await api.client.get("/healthz")).status_code for _ in range(50)} == {200}


# Statistics


async def test_statistics_have_what_system_a_promises(open_api: Any) -> None:
    async with open_api() as api, api.hub.subscribe("tasks"):
        await api.publish(EVENT)
        document = (await api.client.get(STATS)).json()
        assert document["connections"] == {"active": 3, "total": 7, "maximum": 1000, "refused": {"full": 2}}
        assert document["messages"]["published"] == 1
        assert document["history_size"] == 1
        assert document["events_by_type"] == {"task.progress": 1}
        assert document["uptime_seconds"] == 60
        assert document["timestamp"] == "2025-06-15T15:06:40.000Z"
        assert {"rate_limit_violations", "backpressure_clients", "average_queue_depth"} <= set(document)


async def test_system_metrics_have_the_machine_and_the_websocket_side(open_api: Any) -> None:
    async with open_api() as api:
        document = (await api.client.get("/api/v1/system/metrics")).json()
        assert set(document) == {"system", "websocket", "timestamp"}
        assert document["system"]["process"]["cpu_percent"] == 150.0
        assert document["websocket"] == (await api.client.get(STATS)).json()


# Routing


@pytest.mark.parametrize("path", ["/", "/api", "/healthz/", "/api/v1/channels//history", "/%00", "/api/v1/publish/x"])
async def test_an_unknown_path_is_404_in_json(open_api: Any, path: str) -> None:
    async with open_api() as api:
        response = await api.client.get(path)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "request.not_found")


@pytest.mark.parametrize("rule", ROUTES, ids=lambda rule: rule.path)
async def test_another_method_is_405_and_names_those_allowed(open_api: Any, rule: Any) -> None:
    async with open_api() as api:
        path = rule.path.replace("{name}", "tasks")
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - {rule.method}:
            response = await api.client.request(method, path)
            assert (response.status_code, response.json()["error"]["code"]) == (405, "request.method_not_allowed")
            allowed = {name.strip() for name in response.headers["allow"].split(",")}
            assert allowed == ({"GET", "HEAD"} if rule.method == "GET" else {"POST"})


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/dashboard/alerts", "GET, HEAD, POST"),
        ("/api/v1/dashboard/alerts/a1", "DELETE"),
        ("/api/v1/publish", "POST"),
        ("/healthz", "GET, HEAD"),
    ],
)
async def test_every_method_of_a_path_is_named_whatever_the_number_of_its_routes(
    open_api: Any, path: str, allowed: str
) -> None:
    """A path may have a route for each of its methods. Source: RFC 9110, section 10.2.1."""
    async with open_api() as api:
        for method in ("PUT", "OPTIONS"):
            response = await api.client.request(method, path)
            assert (response.status_code, response.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["/healthz", STATS, "/metrics", "/openapi.json", "/api/v1/channels/tasks/history"])
async def test_head_is_answered_as_get_without_the_body(open_api: Any, path: str) -> None:
    async with open_api() as api:
        head, get = await api.client.head(path), await api.client.get(path)
        assert (head.status_code, head.headers["content-type"]) == (get.status_code, get.headers["content-type"])


# Tokens


@pytest.mark.parametrize("path", [STATS, "/api/v1/system/metrics", "/metrics", "/api/v1/channels/tasks/history"])
async def test_a_token_is_needed_where_authentication_is_configured(open_api: Any, path: str) -> None:
    async with open_api(identities=ADMIN) as api:
        refused = await api.client.get(path)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "access.authentication_required")
        assert refused.headers["www-authenticate"] == 'Bearer realm="rtcore"'
        assert (await api.client.get(path, headers=bearer("reader"))).status_code == 200


async def test_a_post_without_a_token_is_refused_before_its_body_is_looked_at(open_api: Any) -> None:
    async with open_api(identities=ADMIN) as api:
        assert (await api.publish({"nonsense": 1})).status_code == 401


async def test_metrics_can_be_public_while_all_else_is_not(open_api: Any) -> None:
    async with open_api(identities=ADMIN, metrics_public=True) as api:
        assert (await api.client.get("/metrics")).status_code == 200
        assert (await api.client.get(STATS)).status_code == 200
        assert (await api.client.get(STATS, headers=bearer("wrong"))).status_code == 401
        assert (await api.client.get("/api/v1/channels/tasks/history")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic cm9vdDpyb290"},
        {"Authorization": "Bearer two tokens"},
        {"Authorization": "Bearer unknown"},
    ],
)
async def test_a_header_that_is_no_good_token_is_401(open_api: Any, headers: dict[str, str]) -> None:
    async with open_api(identities=ADMIN) as api:
        response = await api.client.get(STATS, headers=headers)
        assert response.status_code == 401
        assert "invalid_token" in response.headers["www-authenticate"]
        assert headers["Authorization"].partition(" ")[2] not in response.text or not headers["Authorization"][7:]


async def test_two_tokens_at_once_are_refused(open_api: Any) -> None:
    """Whichever a proxy looked at, it must be the one that counts."""
    async with open_api(identities=ADMIN) as api:
        headers = [("Authorization", "Bearer admin"), ("Authorization", "Bearer reader")]
        assert (await api.client.get(STATS, headers=headers)).status_code == 401


async def test_real_tokens_open_the_door_until_they_are_revoked_over_http(open_api: Any) -> None:
    """The server's own authenticator and revocation list, end to end."""
    settings = AuthenticationSettings(keys={"main": KeySettings(algorithm="HS256", secret="s" * 32)})
    revocations = RevocationList()
    authenticator = Authenticator(settings, revocations=revocations)
    alice = bearer(issue_token(settings, user="alice", roles=["publisher"], token_id="t-1"))
    root = bearer(issue_token(settings, user="root", roles=["admin"]))
    async with open_api(authenticator=authenticator, revocations=revocations, clock=time.time) as api:
        assert (await api.client.post("/api/v1/publish", json=EVENT, headers=alice)).status_code == 200
        revoked = await api.client.post("/api/v1/revoke", json={"token_id": "t-1"}, headers=root)
        assert (revoked.status_code, revoked.json()) == (200, {"token_id": "t-1", "ended": 0})
        refused = await api.client.post("/api/v1/publish", json=EVENT, headers=alice)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "access.token_revoked")


# Revocation


async def test_an_administrator_revokes_a_token_or_a_user(open_api: Any) -> None:
    async with open_api(identities=ADMIN) as api:
        for body, ended in (({"token_id": "t"}, 1), ({"user": "u", "token_id": None}, 2)):
            response = await api.client.post("/api/v1/revoke", json=body, headers=bearer("admin"))
            assert (response.status_code, response.json()["ended"]) == (200, ended)
        assert api.around.revoked == [("token_id", "t"), ("user", "u")]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "token_id"),
        ({"token_id": "a", "user": "b"}, "token_id"),
        ({"token_id": ""}, "token_id"),
        ({"user": "x" * 256}, "user"),
        ({"user": 1}, "user"),
        ({"usr": "x"}, "usr"),
    ],
)
async def test_a_bad_revocation_is_refused(open_api: Any, body: Any, field: str) -> None:
    async with open_api(identities=ADMIN) as api:
        response = await api.client.post("/api/v1/revoke", json=body, headers=bearer("admin"))
        assert (response.status_code, response.json()["error"]["field"]) == (400, field)
        assert api.around.revoked == []


async def test_revoking_is_for_administrators(open_api: Any) -> None:
    async with open_api(identities=ADMIN) as api:
        response = await api.client.post("/api/v1/revoke", json={"user": "root"}, headers=bearer("reader"))
        assert (response.status_code, response.json()["error"]["code"]) == (403, "access.denied")


async def test_without_authentication_there_is_nothing_to_revoke(open_api: Any) -> None:
    async with open_api(anonymous=Identity(user="", roles={"admin"})) as api:
        assert (await api.client.post("/api/v1/revoke", json={"user": "a"})).status_code == 404


# Rate


async def test_one_request_too_many_is_429_and_goes_to_the_ledger(open_api: Any) -> None:
    async with open_api(limits=Limits(messages_per_second=2, message_burst=3)) as api:
        statuses = [(await api.publish(EVENT)).status_code for _ in range(3)]
        refused = await api.publish(EVENT)
        assert (statuses, refused.status_code) == ([200] * 3, 429)
        error = refused.json()["error"]
        assert (error["code"], error["transient"], error["retry_after"]) == ("limit.rate", True, 0.5)
        assert refused.headers["retry-after"] == "1"
        assert api.around.violations == [("address:192.0.2.1", "rate")]
        api.around.now += 0.5
        assert (await api.publish(EVENT)).status_code == 200


async def test_each_user_has_a_rate_of_their_own(open_api: Any) -> None:
    """One bad client harms only itself."""
    async with open_api(identities=ADMIN, limits=Limits(message_burst=1)) as api:
        assert (await api.client.get(STATS, headers=bearer("admin"))).status_code == 200
        assert (await api.client.get(STATS, headers=bearer("admin"))).status_code == 429
        assert (await api.client.get(STATS, headers=bearer("reader"))).status_code == 200


async def test_guessing_tokens_has_a_rate_too(open_api: Any) -> None:
    async with open_api(identities=ADMIN, limits=Limits(message_burst=2)) as api:
        statuses = [(await api.client.get(STATS, headers=bearer(f"guess{n}"))).status_code for n in range(4)]
        assert statuses == [401, 401, 429, 429]


async def test_memory_for_rates_is_bounded_whatever_the_number_of_clients(open_api: Any) -> None:
    identities = {f"t{n}": Identity(user=f"u{n}") for n in range(50)}
    async with open_api(identities=identities, limits=Limits(rate_clients=10, message_burst=1)) as api:
        assert {(await api.client.get(STATS, headers=bearer(token))).status_code for token in identities} == {200}


async def test_the_address_behind_a_trusted_proxy_is_what_counts(open_api: Any) -> None:
    async with open_api(proxies=ProxyTrust(["192.0.2.0/24"]), limits=Limits(message_burst=1)) as api:
        for address in ("198.51.100.1", "198.51.100.2"):
            assert (await api.client.get(STATS, headers={"X-Forwarded-For": address})).status_code == 200
        refused = await api.client.get(STATS, headers={"X-Forwarded-For": "198.51.100.1"})
        assert refused.status_code == 429
        assert api.around.violations == [("address:198.51.100.1", "rate")]


# Pages

PAGE = "https://app.example"


async def test_a_page_of_a_foreign_origin_is_refused(open_api: Any) -> None:
    async with open_api(origins=OriginPolicy([PAGE])) as api:
        response = await api.publish(EVENT, Origin="https://evil.example")
        assert (response.status_code, response.json()["error"]["field"]) == (403, "Origin")
        assert "access-control-allow-origin" not in response.headers
        assert api.hub.statistics().published == 0


async def test_no_page_may_ask_where_no_rule_is_given(open_api: Any) -> None:
    async with open_api() as api:
        assert (await api.publish(EVENT, Origin=PAGE)).status_code == 403


async def test_a_listed_page_is_answered_and_told_that_it_may_read(open_api: Any) -> None:
    async with open_api(origins=OriginPolicy([PAGE])) as api:
        for path in (STATS, "/nothing"):
            response = await api.client.get(path, headers={"Origin": PAGE})
            assert response.headers["access-control-allow-origin"] == PAGE
            assert response.headers["vary"] == "Origin"


async def test_a_browser_that_asks_first_is_told_what_it_may_send(open_api: Any) -> None:
    """Source: WHATWG Fetch, CORS-preflight fetch."""
    question = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    async with open_api(identities={}, origins=OriginPolicy([PAGE])) as api:
        response = await api.client.options("/api/v1/publish", headers=question)
        assert response.status_code == 204
        assert response.headers["access-control-allow-origin"] == PAGE
        assert response.headers["access-control-allow-methods"] == "DELETE, GET, HEAD, POST"
        assert response.headers["access-control-allow-headers"] == "authorization, content-type, idempotency-key"
        foreign = await api.client.options("/api/v1/publish", headers=question | {"Origin": "https://evil.example"})
        assert foreign.status_code == 403


async def test_a_listed_page_removes_an_alert_rule_as_a_browser_does(open_api: Any) -> None:
    """A browser sends nothing but GET, HEAD and POST of a page of another origin unless the server names the method."""
    async with open_api(origins=OriginPolicy([PAGE])) as api:
        path = "/api/v1/dashboard/alerts/a1"
        question = {"Origin": PAGE, "Access-Control-Request-Method": "DELETE"}
        told = await api.client.options(path, headers=question)
        assert "DELETE" in told.headers["access-control-allow-methods"].split(", ")
        answer = await api.client.delete(path, headers={"Origin": PAGE})
        assert answer.status_code == 403  # the role is missing: the page is not what is refused
        assert answer.json()["error"]["field"] is None


async def test_a_rebound_name_reads_nothing_where_nobody_needs_a_token(open_api: Any) -> None:
    """A page can point a name of its own at 127.0.0.1; its GETs then carry no Origin."""
    async with open_api(origins=OriginPolicy()) as api:
        foreign, own = {"Host": "evil.example:8080"}, {"Host": "localhost:8080"}
        refused = await api.client.get(STATS, headers=foreign)
        assert (refused.status_code, refused.json()["error"]["field"]) == (403, "Host")
        assert (await api.client.get(STATS, headers=own)).status_code == 200
        assert (await api.client.get("/readyz", headers=foreign)).status_code == 200


async def test_a_rebound_name_reads_no_public_metrics(open_api: Any) -> None:
    """Where others need a token, what needs none is guarded as it is where nobody needs one."""
    foreign, own = {"Host": "evil.example:8080"}, {"Host": "localhost:8080"}
    same_origin = {**foreign, "Origin": "http://evil.example:8080"}
    async with open_api(identities=ADMIN, metrics_public=True, origins=OriginPolicy()) as api:
        for path in (STATS, "/metrics", "/api/v1/dashboard/data", "/realtime/stats"):
            for headers, field in ((foreign, "Host"), (same_origin, "Origin")):
                refused = await api.client.get(path, headers=headers)
                assert (refused.status_code, refused.json()["error"]["field"]) == (403, field)
            assert (await api.client.get(path, headers=own)).status_code == 200
            assert (await api.client.get(path, headers=foreign | bearer("admin"))).status_code == 200
        assert (await api.client.get("/api/v1/channels/tasks/history", headers=foreign)).status_code == 401
    async with open_api(identities=ADMIN, origins=OriginPolicy()) as api:
        assert (await api.client.get(STATS, headers=foreign)).status_code == 401
