"""An application outside the process reports by commands what it could report in Python."""

from __future__ import annotations

import inspect
from typing import Any

import attrs
import jwt
import pytest

import rtcore
from rtcore.application import ApplicationHub
from rtcore.features.settings import FeatureSettings
from rtcore.features.support_chat.desk import Desk
from rtcore.features.support_chat.reports import REPORTS
from rtcore.features.support_chat.settings import SupportChatSettings
from rtcore.testing import TestClient, TestServer, open_test_hub, open_test_server
from rtcore.values.identity import Identity

SECRET = "s" * 40
WITH_TOKENS = rtcore.Settings(
    authentication=rtcore.AuthenticationSettings(keys={"main": rtcore.KeySettings(algorithm="HS256", secret=SECRET)})
)
LOOKING = Identity(user="al", workspace="acme", roles={"agent"})
REPORTER = "support_chat_reporter"


async def reporter(
    server: TestServer, hub: ApplicationHub, workspace: str | None = "acme", role: str = REPORTER
) -> TestClient:
    claims = {"sub": "backend", "roles": [role], "exp": hub.clock() + 3600}
    token = jwt.encode(claims | ({} if workspace is None else {"workspace": workspace}), SECRET)
    return await server.connect(token=token)


async def ask(client: TestClient, verb: str, **data: Any) -> dict[str, Any]:
    await client.send(f"support_chat.{verb}", data, id=1)
    message = await client.receive()
    assert message["type"] in ("support_chat.reported", "error"), message
    found: dict[str, Any] = message["data"]
    return found


def test_every_report_of_a_desk_is_a_command() -> None:
    """With the same arguments; `user`, which says whose desk, is `sender` where somebody types."""
    methods = {
        name: {each for each in inspect.signature(method).parameters if each != "self"}
        for name, method in vars(Desk).items()
        if inspect.isfunction(method) and not name.startswith("_") and not name.endswith("_document")
    }
    fields = {
        verb: {field.name for field in attrs.fields(kind)} - {"workspace", "user"} for verb, kind in REPORTS.items()
    }
    assert {name: {"sender" if each == "user" else each for each in names} for name, names in methods.items()} == fields


async def test_chat_that_is_reported_from_outside_is_shown(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        client = await reporter(server, hub)
        assert (await ask(client, "agent_status", agent_id="a1", status="active", name="Al"))["agent"]["name"] == "Al"
        opened = await ask(client, "open_session", session_id="s1", customer="carol", subject="refund")
        assert (opened["desk"], opened["session"]["status"]) == ("support_chat:acme", "waiting")
        assert (await ask(client, "assign", session_id="s1", agent_id="a1"))["session"]["agentId"] == "a1"
        assert await ask(client, "typing", session_id="s1", sender="carol") == {"desk": "support_chat:acme"}
        assert await ask(client, "stop_typing", session_id="s1", sender="carol") == {"desk": "support_chat:acme"}
        said = await ask(client, "message", session_id="s1", message_id="m1", sender="carol", text="hi", kind="file")
        assert (said["message"]["text"], said["message"]["type"]) == ("hi", "file")
        status = await ask(client, "message_status", session_id="s1", message_id="m1", status="delivered")
        assert status["message"]["status"] == "delivered"
        assert (await ask(client, "mark_read", session_id="s1"))["session"]["unread"] == 0
        assert (await ask(client, "end_session", session_id="s1"))["session"]["status"] == "ended"
        assert (await ask(client, "rate", session_id="s1", stars=5))["session"]["rating"] == 5
        metrics: Any = hub.support_chat.metrics(LOOKING)
        assert (metrics["satisfactionMetrics"]["average"], metrics["overview"]["endedSessions"]) == (5.0, 1)


@pytest.mark.parametrize("role", ["agent", "supervisor", "publisher"])
async def test_who_only_looks_reports_nothing(role: str, autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        client = await reporter(server, hub, role=role)
        error = await ask(client, "open_session", session_id="s1", customer="c")
        assert error["message"] == "needs one of the roles admin, support_chat_reporter"
        assert hub.support_chat.queue(LOOKING)["queue_depth"] == 0


async def test_reporter_reports_of_its_own_workspace_only(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        client = await reporter(server, hub)
        for verb, data in (("open_session", {"customer": "c"}), ("end_session", {})):
            error = await ask(client, verb, session_id="s1", workspace="other", **data)
            assert (error["code"], error["field"]) == ("access.denied", "data.workspace")
        own = await ask(client, "open_session", session_id="s1", customer="c", workspace="acme")
        assert own["desk"] == "support_chat:acme"
        member = await ask(client, "open_session", session_id="s1", customer="c", user="ann")
        assert member["desk"] == "member_support_chat:acme:ann", "a user of the own workspace, not of another"


async def test_reporter_of_the_whole_server_names_the_workspace(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        client = await reporter(server, hub, workspace=None)
        error = await ask(client, "open_session", session_id="s1", customer="c")
        assert error["message"] == "data.workspace: missing, and the token names none"
        desks = [
            (await ask(client, "open_session", session_id="s1", customer="c", **whose))["desk"]
            for whose in ({"workspace": "acme"}, {"workspace": "b", "user": "ann"}, {"user": "ann"})
        ]
        assert desks == ["support_chat:acme", "member_support_chat:b:ann", "user_support_chat:ann"]


@pytest.mark.parametrize(
    ("verb", "data", "message"),
    [
        ("open_session", {"session_id": "a/b", "customer": "c"}, "data.session_id: expected an id neither"),
        ("open_session", {"session_id": "s"}, "data.customer: missing"),
        ("open_session", {"session_id": "s", "customer": "c", "when": 1}, "data.when: unknown field"),
        ("end_session", {"session_id": "nope"}, "data.session_id: no such session"),
        ("rate", {"session_id": "s", "stars": 6}, "data.stars: expected a whole number from 1 to 5"),
        ("agent_status", {"agent_id": "a", "status": "asleep"}, "data.status: expected one of active"),
        ("agent_status", {"agent_id": "a", "status": "idle", "user": "x" * 250}, "data.user: expected 1 to 200"),
    ],
)
async def test_refused_report_leaves_nothing_behind(
    verb: str, data: dict[str, Any], message: str, autojump_clock: Any
) -> None:
    """Not even an empty desk: those are counted."""
    features = FeatureSettings(support_chat=SupportChatSettings(desks=1))
    async with open_test_hub(features=features) as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        client = await reporter(server, hub)
        assert (await ask(client, verb, **data))["message"].startswith(message)
        hub.support_chat.desk(workspace="another")


async def test_roles_that_report_can_be_set(autojump_clock: Any) -> None:
    features = FeatureSettings(support_chat=SupportChatSettings(report_roles={"backend"}))
    async with open_test_hub(features=features) as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        client = await reporter(server, hub, role="backend")
        assert "session" in await ask(client, "open_session", session_id="s1", customer="c")
