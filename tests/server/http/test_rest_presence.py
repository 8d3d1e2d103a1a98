"""`GET /realtime/presence/...`: who may see whom, pages, and bad input."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from rtcore.values.identity import Identity

IDENTITIES = {
    "ann": Identity(user="ann", workspace="w1"),
    "bob": Identity(user="bob", workspace="w1"),
    "eve": Identity(user="eve", workspace="w2"),
    "root": Identity(user="root", workspace="w9", roles={"admin"}),
    "alone": Identity(user="alone"),
    "ada": Identity(user="ada@example.com", workspace="Acme & Söhne"),
    "twin": Identity(user="ada@example.com", workspace="Acme~20~26~20S~C3~B6hne"),
}
WORKSPACE, USER = "/realtime/presence/workspace/w1", "/realtime/presence/user/b%20ob/workspace/w1"


async def get(api: Any, path: str, token: str = "ann") -> tuple[int, Any]:
    response = await api.client.get(path, headers={"Authorization": f"Bearer {token}"})
    return response.status_code, response.json()


async def test_members_get_the_list_page_by_page_with_the_position_it_is_of(open_api: Any) -> None:
    async with open_api(identities=IDENTITIES) as api:
        assert await get(api, WORKSPACE) == (
            200,
            {"workspace_id": "w1", "position": None, "users": [], "total": 0, "more": False},
        )
        for user in ("cid", "b ob"):
            api.hub.presence.set(user, workspace="w1", page="/a", activity="editing")
        _, page = await get(api, WORKSPACE)
        assert [record["user_id"] for record in page["users"]] == ["cid"], "the second is told with the next step"
        assert page["position"] == str(api.hub.position("presence:w1"))
        assert page["users"][0] == {
            "user_id": "cid",
            "status": "online",
            "page": "/a",
            "activity": "editing",
            "since": "2025-06-15T15:06:40.000Z",
        }
        assert (await get(api, f"{WORKSPACE}?after=cid"))[1]["users"] == []
        assert (await get(api, f"{WORKSPACE}?limit=1"))[1]["more"] is False


async def test_one_user_is_told_as_he_is_now(open_api: Any) -> None:
    async with open_api(identities=IDENTITIES) as api:
        nothing = {"page": None, "activity": None, "since": None, "connections": 0}
        offline = {"workspace_id": "w1", "user_id": "b ob", "status": "offline", **nothing}
        assert await get(api, USER) == (200, offline)
        api.hub.presence.set("b ob", workspace="w1", status="away")
        status, seen = await get(api, USER)
        assert (status, seen["status"], seen["connections"]) == (200, "away", 1)


async def test_who_hides_is_to_others_as_one_who_is_not_there(open_api: Any, autojump_clock: Any) -> None:
    """Or to hide would say that one is there, and through how many connections."""
    async with open_api(identities=IDENTITIES) as api:
        path = "/realtime/presence/user/ann/workspace/w1"
        absent = [await get(api, path, "bob"), await get(api, "/realtime/stats", "bob")]
        for source in ("phone", "desk"):
            api.hub.presence.set("ann", workspace="w1", status="offline", page="/secret", source=source)
        await trio.sleep(0.3)
        status, seen = await get(api, path, "bob")
        assert (status, seen) == absent[0]
        assert (await get(api, "/realtime/stats", "bob"))[1]["presence"] == absent[1][1]["presence"]
        assert (await get(api, WORKSPACE, "bob"))[1]["position"] is None, "nothing was told either"
        assert (await get(api, "/realtime/stats/workspace/w1", "bob"))[1]["present"] == 0
        assert (await get(api, path, "ann"))[1]["connections"] == 2, "she herself may know"


async def test_nobody_is_taken_for_a_guest_of_his_name(open_api: Any) -> None:
    """A guest's name is of his own choice, so a token of that name is not proof of being him."""
    identities = {"ann": Identity(user="guest:eve", workspace="w1")}
    async with open_api(identities=identities) as api:
        api.hub.presence.set("guest:eve", workspace="w1", status="offline")
        assert (await get(api, "/realtime/presence/user/guest:eve/workspace/w1"))[1]["connections"] == 0


async def test_names_in_addresses_are_the_names_themselves(open_api: Any) -> None:
    """Only channels have them escaped with tildes, and whoever is called like that is somebody else."""
    async with open_api(identities=IDENTITIES) as api:
        api.hub.presence.set("ada@example.com", workspace="Acme & Söhne")
        where = "workspace/Acme%20%26%20S%C3%B6hne"
        _, page = await get(api, f"/realtime/presence/{where}", "ada")
        assert (page["workspace_id"], page["total"]) == ("Acme & Söhne", 1)
        assert page["position"] == str(api.hub.position("presence:Acme~20~26~20S~C3~B6hne"))
        _, seen = await get(api, f"/realtime/presence/user/ada%40example.com/{where}", "ada")
        assert (seen["user_id"], seen["status"]) == ("ada@example.com", "online")
        assert (await get(api, f"/realtime/presence/{where}", "twin"))[0] == 403
        _, other = await get(api, "/realtime/presence/workspace/Acme~20~26~20S~C3~B6hne", "twin")
        assert (other["total"], other["position"]) == (0, None)


@pytest.mark.parametrize("path", [WORKSPACE, USER])
async def test_only_members_see_a_workspace(open_api: Any, path: str) -> None:
    """No role stands above a workspace, as with its channel."""
    async with open_api(identities=IDENTITIES) as api:
        for token, status in (("ann", 200), ("root", 403), ("eve", 403), ("alone", 403), ("nobody", 401)):
            answered, body = await get(api, path, token)
            assert answered == status, token
            if status == 403:
                assert body["error"]["message"] == "not allowed to see who is in this workspace"
                assert body["error"]["field"] == "workspaceId"


@pytest.mark.parametrize(
    ("path", "field", "message"),
    [
        (f"{WORKSPACE}?limit=0", "limit", "expected a whole number from 1 to list_users_maximum=1000, got 0"),
        (f"{WORKSPACE}?limit=1001", "limit", "expected a whole number from 1 to list_users_maximum=1000, got 1001"),
        (f"{WORKSPACE}?limit=%C2%B2", "limit", 'expected a whole number from 1 to list_users_maximum=1000, got "²"'),
        (
            f"{WORKSPACE}?limit=10000000000", "limit",
            "expected a whole number from 1 to list_users_maximum=1000, got 10000000000",
        ),
        (f"{WORKSPACE}?after=", "after", "expected 1 to 261 characters, got 0"),
        (f"{WORKSPACE}?after={'x' * 262}", "after", "expected 1 to 261 characters, got 262"),
        (f"{WORKSPACE}?page=1", "page", "unknown parameter"),
        (f"{WORKSPACE}?limit=1&limit=2", "limit", "the parameter comes twice"),
        (f"{USER}?x=1", "x", "unknown parameter"),
        (f"/realtime/presence/workspace/{'w' * 256}", "workspaceId", "expected 1 to 255 characters, got 256"),
        (f"/realtime/presence/user/{'u' * 262}/workspace/w1", "userId", "expected 1 to 261 characters, got 262"),
    ],
)
async def test_bad_requests_are_told_what_is_wrong(open_api: Any, path: str, field: str, message: str) -> None:
    async with open_api(identities=IDENTITIES) as api:
        status, body = await get(api, path)
        assert (status, body["error"]["field"], body["error"]["message"]) == (400, field, message)


async def test_figures_of_all_and_of_ones_own_workspace(open_api: Any, autojump_clock: Any) -> None:
    async with open_api(identities=IDENTITIES) as api:
        for user in ("cid", "dan"):
            api.hub.presence.set(user, workspace="w1")
        api.hub.presence.set("eve", workspace="w2")
        await trio.sleep(0.3)  # the second of a workspace is told with the next step
        status, figures = await get(api, "/realtime/stats")
        assert (status, figures["presence"]["users"], figures["presence"]["workspaces"]) == (200, 3, 2)
        assert figures["realtime"]["connections"]["active"] == 3
        status, figures = await get(api, "/realtime/stats/workspace/w1")
        assert (status, figures["workspace_id"], figures["present"]) == (200, "w1", 2)
        for token in ("eve", "root", "alone"):
            assert (await get(api, "/realtime/stats/workspace/w1", token))[0] == 403
        assert (await get(api, "/realtime/stats?x=1"))[0] == 400
