"""`/api/v1/dashboard/alerts`: rules over HTTP, and who may change them."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from rtcore.values.channels import Namespace
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

PATH = "/api/v1/dashboard/alerts"
IDENTITIES = {
    "manager": Identity(user="mia", roles={"alert_manager"}),
    "admin": Identity(user="root", roles={"admin"}),
    "reader": Identity(user="rea"),
}
RULE = {
    "name": "High CPU Usage",
    "condition": "cpu_utilization > 0.8",
    "severity": "high",
    "channels": ["dashboard", "webhook"],
    "cooldown": 300000,
}
CONSTANT = "expected a field to be compared, such as cpu_utilization > 0.8, got only constants"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_rule_of_the_contract_comes_stays_and_goes(open_api: Any) -> None:
    async with open_api(identities=IDENTITIES) as api:
        response = await api.client.post(PATH, json=RULE, headers=bearer("manager"))
        assert response.status_code == 200
        rule = response.json()
        assert {name: rule[name] for name in RULE} == RULE
        assert (rule["created_by"], rule["state"], rule["for"], rule["absent"]) == ("mia", "quiet", 0, None)
        assert rule["notes"] == ["webhook: no target of this kind is set"]
        overview = (await api.client.get(PATH, headers=bearer("reader"))).json()
        assert overview == {"alerts": [], "resolved": [], "rules": [rule]}
        response = await api.client.delete(f"{PATH}/{rule['id']}", headers=bearer("admin"))
        assert (response.status_code, response.json()) == (200, {"id": rule["id"], "removed": True})
        assert (await api.client.get(PATH, headers=bearer("reader"))).json()["rules"] == []
        response = await api.client.delete(f"{PATH}/{rule['id']}", headers=bearer("admin"))
        assert (response.status_code, response.json()["error"]["message"]) == (404, "there is no such rule")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_changes_need_a_role(open_api: Any, method: str) -> None:
    async with open_api(identities=IDENTITIES) as api:
        path = PATH if method == "POST" else f"{PATH}/some"
        response = await api.client.request(method, path, headers=bearer("reader"))
        assert response.status_code == 403
        assert response.json()["error"]["message"] == "needs one of the roles admin, alert_manager"
        assert (await api.client.request(method, path)).status_code == 401


async def test_reading_needs_what_the_channel_needs(open_api: Any) -> None:
    async with open_api(identities=IDENTITIES, namespaces={"alerts": Namespace(read_roles={"admin"})}) as api:
        assert (await api.client.get(PATH, headers=bearer("reader"))).status_code == 403
        assert (await api.client.get(PATH, headers=bearer("admin"))).status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "field", "message"),
    [
        ({"condition": "cpu_utilization >"}, 400, "condition",
         'condition: column 18: expected a value after ">", got the end'),
        ({"condition": "cpu.__class__() > 1"}, 400, "condition",
         'condition: column 1: no function "cpu.__class__"; there are avg, min, max, sum, count, rate, delta, stddev, '
         "percentile, anomaly, abs, changed"),
        ({"condition": "avg(cpu, 60) > 1"}, 400, "condition",
         'condition: column 10: expected a duration, as in avg(field, 60s), after ",", got "60"'),
        ({"condition": "true"}, 400, "condition", f"condition: column 1: {CONSTANT}"),
        ({"condition": "1 > 0 and not false"}, 400, "condition", f"condition: column 1: {CONSTANT}"),
        ({"condition": "x" * 1001}, 413, "condition",
         "condition: column 1001: condition of 1001 characters exceeds alert_condition_length=1000"),
        ({"condition": 5}, 400, "condition", "condition: expected text, got a number"),
        ({"condition": None}, 400, "condition", "condition: missing"),
        ({"name": ""}, 400, "name", "name: expected 1 to 128 characters, got 0"),
        ({"name": "x" * 129}, 413, "name", "name: expected 1 to 128 characters, got 129"),
        (
            {"severity": "urgent"}, 400, "severity",
            'severity: expected one of low, medium, high, critical, got "urgent"',
        ),
        ({"channels": ["https://10.0.0.1/"]}, 400, "channels[0]",
         "channels[0]: unknown channel; there are dashboard, email, slack, sms, webhook"),
        ({"channels": "dashboard"}, 400, "channels", 'channels: expected an array, got text'),
        (
            {"cooldown": "300000"}, 400, "cooldown",
            'cooldown: expected a whole number from 0 to 2592000000, got "300000"',
        ),
        ({"absent": {"after": 60000}}, 400, "absent.state", "absent.state: missing"),
        ({"interval": 5}, 400, "interval", "interval: unknown field"),
    ],
)  # fmt: skip
async def test_wrong_rule_is_refused_with_the_place_of_the_error(
    open_api: Any, change: dict[str, Any], status: int, field: str, message: str
) -> None:
    async with open_api(identities=IDENTITIES) as api:
        response = await api.client.post(PATH, json=RULE | change, headers=bearer("manager"))
        error = response.json()["error"]
        assert (response.status_code, error["field"], error["message"]) == (status, field, message)
        assert (await api.client.get(PATH, headers=bearer("reader"))).json()["rules"] == []


@pytest.mark.parametrize(("content", "status"), [(b"", 400), (b"{", 400), (b"[]", 400), (b'{"name":"\xff"}', 400)])
async def test_body_that_is_no_object_is_refused(open_api: Any, content: bytes, status: int) -> None:
    async with open_api(identities=IDENTITIES) as api:
        headers = bearer("manager") | {"Content-Type": "application/json"}
        assert (await api.client.post(PATH, content=content, headers=headers)).status_code == status


async def test_rule_with_a_key_is_added_once(open_api: Any) -> None:
    """A client that lost the connection before the answer sends the same again, perhaps while the first is written."""
    async with open_api(identities=IDENTITIES) as api:
        headers = bearer("manager") | {"Idempotency-Key": "deploy-7"}
        answers: list[Any] = []

        async def post() -> None:
            answers.append(await api.client.post(PATH, json=RULE, headers=headers))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(post)
            nursery.start_soon(post)
        first, again = sorted(answers, key=lambda answer: "idempotent-replayed" in answer.headers)
        assert (first.status_code, again.status_code) == (200, 200)
        assert (first.content, again.headers["idempotent-replayed"]) == (again.content, "true")
        assert "idempotent-replayed" not in first.headers
        other = await api.client.post(PATH, json=RULE | {"name": "b"}, headers=headers)
        assert (other.status_code, other.json()["error"]["field"]) == (409, "Idempotency-Key")
        theirs = await api.client.post(
            PATH, json=RULE | {"name": "b"}, headers=bearer("admin") | {"Idempotency-Key": "deploy-7"}
        )
        assert theirs.status_code == 200, "a key belongs to whoever used it"
        refused = bearer("manager") | {"Idempotency-Key": "next"}
        assert (await api.client.post(PATH, json=RULE, headers=refused)).status_code == 409
        assert (await api.client.post(PATH, json=RULE | {"name": "c"}, headers=refused)).status_code == 200, "not kept"


async def test_second_rule_of_a_name_is_a_conflict_and_one_too_many_is_over_a_limit(open_api: Any) -> None:
    async with open_api(identities=IDENTITIES, limits=Limits(alert_rules=2)) as api:
        headers = bearer("manager")
        assert (await api.client.post(PATH, json=RULE, headers=headers)).status_code == 200
        response = await api.client.post(PATH, json=RULE, headers=headers)
        assert (response.status_code, response.json()["error"]["field"]) == (409, "name")
        assert (await api.client.post(PATH, json=RULE | {"name": "b"}, headers=headers)).status_code == 200
        response = await api.client.post(PATH, json=RULE | {"name": "c"}, headers=headers)
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["transient"]) == (413, "limit.too_large", False)
        assert error["message"] == "there are alert_rules=2 already; remove one first"


async def test_unknown_parameters_are_refused(open_api: Any) -> None:
    async with open_api(identities=IDENTITIES) as api:
        for method, path in (("GET", PATH), ("POST", PATH), ("DELETE", f"{PATH}/some")):
            response = await api.client.request(method, path, params={"all": "1"}, headers=bearer("admin"))
            assert (response.status_code, response.json()["error"]["field"]) == (400, "all")
