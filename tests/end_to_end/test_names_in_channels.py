"""
Users and workspaces are called whatever their tokens say: real sockets, signed tokens, and people who try.

`ada@example.com` of `Acme & Söhne` has all that a user `ada` has; somebody whose name is the escaped form of hers has
none of it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import jwt
import pytest
import trio

import rtcore
from rtcore.errors import ErrorCode
from rtcore.testing import open_test_server

ADA, ACME = "ada@example.com", "Acme & Söhne"
ADA_PART, ACME_PART = "ada~40example.com", "Acme~20~26~20S~C3~B6hne"
OF_ADA = [f"notifications:{ACME_PART}:{ADA_PART}", f"user_activity:{ADA_PART}", f"user_outputs:{ADA_PART}:answer"]
OF_ACME = [
    f"presence:{ACME_PART}",
    f"workspace_notifications:{ACME_PART}",
    f"workspace_activity:{ACME_PART}",
    f"approvals:{ACME_PART}",
    f"outputs:{ACME_PART}",
    f"typing:{ACME_PART}:plans",
]
SECRET = "s" * 40
KEYS = rtcore.AuthenticationSettings(keys={"main": rtcore.KeySettings(algorithm="HS256", secret=SECRET)})


def token(user: str, workspace: str | None, *roles: str, expires: float | None = None) -> str:
    claims: dict[str, Any] = {"sub": user, "roles": list(roles), "exp": expires or time.time() + 600}
    return jwt.encode(claims if workspace is None else claims | {"workspace": workspace}, SECRET, "HS256")


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[rtcore.ApplicationHub, str]]:
    """A hub and its server on a port of this machine. The deadline is against standstill only."""
    with trio.fail_after(60):
        async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
            settings = rtcore.Settings(port=0, authentication=KEYS, drain_jitter_seconds=0.0)
            server = await nursery.start(rtcore.serve, hub, settings)
            yield hub, server.url
            nursery.cancel_scope.cancel()


async def test_whoever_has_an_address_for_a_name_has_all_that_others_have() -> None:
    async with serving() as (hub, url), AsyncExitStack() as stack:
        ada = await stack.enter_async_context(rtcore.connect(url, token=token(ADA, ACME)))

        async def follow(channel: str) -> rtcore.client.Subscription:
            return await stack.enter_async_context(ada.subscribe(channel))

        inbox, activity, answer = [await follow(channel) for channel in OF_ADA]
        present = await follow(f"presence:{ACME_PART}")
        approvals = await follow(f"approvals:{ACME_PART}")

        await hub.notifications.send(user=ADA, workspace=ACME, title="for you")
        told = await inbox.receive()
        assert (told.type, told.data["user"], told.data["workspace"]) == ("notification", ADA, ACME)
        assert (await ada.request("notification.unread", {}))["user"] == 1

        assert (await ada.request("presence.join", {}))["workspace"] == ACME
        assert [each["user_id"] for each in (await present.receive()).data["joined"]] == [ADA]
        assert [each.user for each in hub.presence.online(ACME)] == [ADA]

        hub.activity.record("billing", "invoice.sent", "Invoice 7", user=ADA)
        assert (await activity.receive()).data["title"] == "Invoice 7"
        found = (await ada.request("activity.search", {}))["activities"]
        assert [each["title"] for each in found] == ["Invoice 7", "for you"]

        async with hub.outputs.text("answer", output_id="answer", user=ADA) as output:
            output.write("yes")
        assert [(await answer.receive()).type for _ in range(3)] == [
            "output.started",
            "output.chunk",
            "output.completed",
        ]
        assert (await ada.request("output.read", {"output_id": "answer"}))["text"] == "yes"

        approvers = rtcore.Approvers(users=frozenset({ADA}))
        async with trio.open_nursery() as nursery:

            async def decide() -> None:
                asked = (await approvals.receive()).data
                assert asked["workspace"] == ACME
                await ada.request("approval.decide", {"approval_id": asked["approval_id"], "decision": "approve"})

            nursery.start_soon(decide)
            decision = await hub.approvals.request("Deploy?", workspace=ACME, approvers=approvers)
        assert [vote.user for vote in decision.votes] == [ADA]


IMPOSTORS = [
    (ADA_PART, ACME, OF_ADA),
    ("ada", ACME, OF_ADA),
    ("ada~7E40example.com", ACME, OF_ADA),
    (f"{ACME_PART}:{ADA_PART}", ACME, OF_ADA),
    (ADA, ACME_PART, [*OF_ACME, OF_ADA[0]]),
    (ADA, f"{ACME}:{ADA}", [*OF_ACME, OF_ADA[0]]),
    (ADA, None, [*OF_ACME, OF_ADA[0]]),
    (ACME, ADA, [*OF_ACME, *OF_ADA]),
    ("{user}", "{workspace}", [*OF_ACME, *OF_ADA]),
]


@pytest.mark.parametrize(("user", "workspace", "channels"), IMPOSTORS)
async def test_name_that_looks_like_anothers_channel_opens_nothing(
    user: str, workspace: str | None, channels: list[str]
) -> None:
    async with serving() as (_, url), rtcore.connect(url, token=token(user, workspace, "admin")) as impostor:
        for channel in channels:
            with pytest.raises(rtcore.RequestError) as refused:
                async with impostor.subscribe(channel):
                    pass
            assert refused.value.code is ErrorCode.DENIED, channel
            with pytest.raises(rtcore.RequestError) as refused:
                await impostor.request("history", {"channel": channel})
            assert refused.value.code is ErrorCode.DENIED, channel


@pytest.mark.parametrize("names", [("a", "b:c"), ("a:b", "c")])
async def test_colon_in_a_name_moves_no_border(names: tuple[str, str]) -> None:
    """Both would have been `notifications:a:b:c`; now each has its own, and that one is nobody's."""
    async with serving() as (hub, url):
        workspace, user = names
        async with rtcore.connect(url, token=token(user, workspace)) as client:
            mine = f"notifications:{rtcore.channel_part(workspace)}:{rtcore.channel_part(user)}"
            async with client.subscribe(mine) as inbox:
                for other_workspace, other_user in (("a", "b:c"), ("a:b", "c")):
                    await hub.notifications.send(
                        user=other_user, workspace=other_workspace, title=f"{other_workspace}/{other_user}"
                    )
                await hub.notifications.send(user=user, workspace=workspace, title="last")
                titles = [(await inbox.receive()).data["title"] for _ in range(2)]
                assert titles == [f"{workspace}/{user}", "last"]
            for channel in {"notifications:a:b:c", "notifications:a:b~3Ac", "notifications:a~3Ab:c"} - {mine}:
                with pytest.raises(rtcore.RequestError, match="not allowed"):
                    async with client.subscribe(channel):
                        pass


async def test_endpoint_begins_with_the_channels_of_any_name(autojump_clock: Any) -> None:
    """Templates of a profile are filled with parts; states behind channels tell the names themselves."""
    profile = rtcore.ProfileSettings(
        path="/ws/own",
        channels=(
            "notifications:{workspace}:{user}",
            "presence:{workspace}",
            "queues:{workspace}",
            "approvals:{workspace}",
            "typing:{workspace}:plans",
            "user_outputs:{user}",
        ),
    )
    settings = rtcore.Settings(authentication=KEYS, profiles={"own": profile})
    async with open_test_server(settings) as server:
        hub: Any = server.hub
        expires = hub.clock() + 600
        await hub.notifications.send(user=ADA, workspace=ACME, title="for you")
        await hub.queues.open("emails", workspace=ACME).put(1)
        hub.presence.set("bob|7", workspace=ACME)
        hub.typing.start("plans", "bob|7", workspace=ACME)
        await hub.approvals.open("Deploy?", identity=rtcore.Identity(user="bob|7", workspace=ACME))
        await trio.sleep(1)
        async with hub.outputs.items("log", output_id="log", user=ADA):
            client = await server.connect("/ws/own", token=token(ADA, ACME, "worker", expires=expires))
            states: dict[str, Any] = {}
            for _ in profile.channels:
                states |= (await client.expect("subscribed"))["data"]["channels"]
        filled = [each.format(workspace=ACME_PART, user=ADA_PART) for each in profile.channels]
        assert sorted(states) == sorted(filled)
        inbox, present, queues, approvals, typing, outputs = (states[name]["snapshot"] for name in filled)
        assert [each["user"] for each in inbox["notifications"]] == [ADA]
        assert [each["user_id"] for each in present["users"]] == ["bob|7"]
        assert [each["queue"] for each in queues] == ["emails"]
        assert [each["asked_by"] for each in approvals["approvals"]] == ["bob|7"]
        assert typing["conversation"] == "plans"
        assert [each["output_id"] for each in outputs["outputs"]] == ["log"]
