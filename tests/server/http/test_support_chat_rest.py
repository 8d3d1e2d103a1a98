"""`/api/v1/admin/chat-dashboard`: reports from an application, and what pages that poll are shown."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from rtcore.features.support_chat.reported_text import NAME_LENGTH
from rtcore.values.identity import Identity

BASE = "/api/v1/admin/chat-dashboard"
PEOPLE = {
    "reporter": Identity(user="backend", workspace="acme", roles={"support_chat_reporter"}),
    "other": Identity(user="backend", workspace="other", roles={"support_chat_reporter"}),
    "ann": Identity(user="ann", workspace="acme", roles={"agent"}),
}


async def report(api: Any, verb: str, who: str = "reporter", key: str | None = None, **body: Any) -> Any:
    headers = {"Authorization": f"Bearer {who}"} | ({} if key is None else {"Idempotency-Key": key})
    return await api.client.post(f"{BASE}/reports/{verb}", json=body, headers=headers)


async def look(api: Any, path: str) -> Any:
    return await api.client.get(BASE + path, headers={"Authorization": "Bearer ann"})


async def test_chat_that_is_reported_is_shown(open_api: Any) -> None:
    async with open_api(identities=PEOPLE) as api:
        opened = await report(api, "open_session", session_id="s1", customer="carol")
        assert (opened.status_code, opened.json()["session"]["status"]) == (200, "waiting")
        assert (await look(api, "/queue")).json()["queue_depth"] == 1
        await report(api, "assign", session_id="s1", agent_id="a1")
        await report(api, "message", session_id="s1", message_id="m1", sender="carol", text="hi")
        session = (await look(api, "/sessions/s1")).json()
        assert (session["desk"], session["unread"], session["more"]) == ("support_chat:acme", 1, False)
        assert [message["text"] for message in session["messages"]] == ["hi"]


async def test_report_with_a_key_is_carried_out_once(open_api: Any) -> None:
    """An application that had no answer asks again, and gets the first one."""
    async with open_api(identities=PEOPLE) as api:
        first = await report(api, "open_session", key="k", session_id="s1", customer="carol")
        again = await report(api, "open_session", key="k", session_id="s1", customer="carol")
        assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (200, first.content, "true")
        other = await report(api, "open_session", key="k", session_id="s2", customer="carol")
        assert (other.status_code, other.json()["error"]["field"]) == (409, "Idempotency-Key")
        unkeyed = await report(api, "open_session", session_id="s1", customer="carol")
        assert unkeyed.json()["error"]["message"] == "session_id: there is one already"


async def test_report_is_refused_as_everything_is(open_api: Any) -> None:
    async with open_api(identities=PEOPLE) as api:
        looking = await report(api, "open_session", who="ann", session_id="s1", customer="c")
        assert (looking.status_code, looking.json()["error"]["code"]) == (403, "access.denied")
        elsewhere = await report(api, "open_session", who="other", session_id="s1", customer="c", workspace="acme")
        assert (elsewhere.status_code, elsewhere.json()["error"]["field"]) == (403, "workspace")
        missing = await report(api, "end_session", session_id="s1")
        assert (missing.status_code, missing.json()["error"]["field"]) == (404, "session_id")
        await report(api, "open_session", session_id="s1", customer="c")
        await report(api, "message", session_id="s1", message_id="m1", sender="c", text="one")
        conflict = await report(api, "message", session_id="s1", message_id="m1", sender="c", text="two")
        assert conflict.status_code == 409
        assert conflict.json()["error"]["message"] == 'message_id: there is another message "m1" already'


@pytest.mark.parametrize(
    "session_id", ["a b", "ä\U0001f600", "100%", "%2F", "a?b#c", "x:y;z=1,2", "...", "~", "+", "é" * NAME_LENGTH]
)
async def test_session_that_can_be_opened_can_be_shown(open_api: Any, session_id: str) -> None:
    async with open_api(identities=PEOPLE) as api:
        assert (await report(api, "open_session", session_id=session_id, customer="c")).status_code == 200
        answer = await look(api, f"/sessions/{quote(session_id, safe='')}")
        assert (answer.status_code, answer.json()["sessionId"]) == (200, session_id)


@pytest.mark.parametrize("session_id", ["a/b", "/", "a\\b", ".", "..", "a\nb", "a\n", "\x00", "\x7f"])
async def test_session_that_could_not_be_shown_cannot_be_opened(open_api: Any, session_id: str) -> None:
    async with open_api(identities=PEOPLE) as api:
        answer = await report(api, "open_session", session_id=session_id, customer="c")
        rule = "expected an id neither . nor .., without /, \\ and control characters"
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == f"session_id: {rule}, got {json.dumps(session_id)}"


async def test_older_messages_are_on_other_pages(open_api: Any) -> None:
    async with open_api(identities=PEOPLE) as api:
        await report(api, "open_session", session_id="s1", customer="c")
        for number in range(3):
            await report(api, "message", session_id="s1", message_id=f"m{number}", sender="c")
        page = (await look(api, "/sessions/s1?limit=2")).json()
        assert ([message["messageId"] for message in page["messages"]], page["more"]) == (["m1", "m2"], True)
        page = (await look(api, "/sessions/s1?limit=2&before=m1")).json()
        assert ([message["messageId"] for message in page["messages"]], page["more"]) == (["m0"], False)
        for query, status, field in (
            ("limit=0", 400, "limit"),
            ("limit=x", 400, "limit"),
            ("limit=1_0", 400, "limit"),
            ("before=m9", 404, "before"),
            ("after=m1", 400, "after"),
        ):
            answer = await look(api, f"/sessions/s1?{query}")
            assert (answer.status_code, answer.json()["error"]["field"]) == (status, field), query


async def test_session_that_two_desks_have_is_shown_by_desk(open_api: Any) -> None:
    async with open_api(identities=PEOPLE) as api:
        for whose in ({}, {"user": "ann"}):
            await report(api, "open_session", session_id="s1", customer="c", **whose)
        both = await look(api, "/sessions/s1")
        assert both.status_code == 409
        assert both.json()["error"]["message"] == (
            "desk: several have a session of this id: member_support_chat:acme:ann, support_chat:acme"
        )
        for desk in ("member_support_chat:acme:ann", "support_chat:acme"):
            assert (await look(api, f"/sessions/s1?desk={desk}")).json()["desk"] == desk
