"""Outputs over a connection: late and resuming clients, pages, cancelling, and who may."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
import trio
import trio.testing

import rtcore
from rtcore.features.outputs.settings import OutputSettings
from rtcore.features.settings import FeatureSettings
from rtcore.protocol.json_codec import json_dumps
from rtcore.testing import TestClient, open_test_hub, open_test_server
from rtcore.values.identity import Identity

CHANNEL = "outputs:default:o1"
SECRET = "s" * 40
KEYS = rtcore.AuthenticationSettings(keys={"main": rtcore.KeySettings(algorithm="HS256", secret=SECRET)})


def of(**outputs: Any) -> FeatureSettings:
    return FeatureSettings(outputs=OutputSettings(**outputs))


# Over a connection


async def test_late_client_gets_the_content_and_then_the_rest(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        client = await server.connect()
        async with hub.outputs.text("answer", output_id="o1") as output:
            output.write("Once")
            output.write(" upon")
            reply = await client.request("subscribe", {"channels": [CHANNEL, "outputs:default"]})
            state = reply["data"]["channels"][CHANNEL]["snapshot"]
            assert (state["text"], state["index"], state["status"]) == ("Once", 0, "running"), "what has left so far"
            listed = reply["data"]["channels"]["outputs:default"]["snapshot"]
            assert (listed["total"], listed["more"]) == (1, False)
            (entry,) = listed["outputs"]
            assert (entry["output_id"], entry["name"], entry["channel"]) == ("o1", "answer", CHANNEL)
            chunk = await client.expect("output.chunk")
            assert (chunk["data"]["index"], chunk["data"]["text"]) == (4, " upon")
        ends = [await client.expect("output.completed") for _ in range(2)]
        assert {end["channel"] for end in ends} == {CHANNEL, "outputs:default"}
        await client.receive_nothing()
        late = await server.connect()
        reply = await late.request("subscribe", {"channels": [CHANNEL]})
        state = reply["data"]["channels"][CHANNEL]["snapshot"]
        assert (state["text"], state["status"]) == ("Once upon", "completed")


async def test_client_that_knows_where_it_stood_resumes_by_position(autojump_clock: Any) -> None:
    async with open_test_hub(features=of(chunk_seconds=0)) as hub, open_test_server(hub=hub) as server:
        first = await server.connect()
        async with hub.outputs.text("answer", output_id="o1") as output:
            await first.request("subscribe", {"channels": [CHANNEL]})
            output.write("a")
            position = (await first.expect("output.chunk"))["position"]
            await first.aclose()
            output.write("b")
            second = await server.connect()
            await second.request("subscribe", {"channels": [CHANNEL], "since": position})
            assert (await second.expect("output.chunk"))["data"]["text"] == "b"
        assert (await second.expect("output.completed"))["data"]["length"] == 2


async def test_content_is_read_page_by_page(autojump_clock: Any) -> None:
    async with open_test_hub(features=of(page_length=4)) as hub, open_test_server(hub=hub) as server:
        client = await server.connect()
        async with hub.outputs.text("answer", output_id="o1") as output:
            output.write("123456")
        page = (await client.request("output.read", {"output_id": "o1"}))["data"]
        assert (page["text"], page["more"], page["index"]) == ("1234", True, 0)
        page = (await client.request("output.read", {"output_id": "o1", "index": 4}))["data"]
        assert (page["text"], page["more"], page["status"]) == ("56", False, "completed")


async def test_state_is_bounded_and_with_pages_and_chunks_it_is_the_whole(autojump_clock: Any) -> None:
    """However the text swells as JSON; a client that joins pages and chunks shows every character once."""
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        client = await server.connect()
        async with hub.outputs.text("answer", output_id="o1") as output:
            for letter in "abcdefghij":
                output.write(letter + "\0" * 50_000)
            await trio.sleep(1)
            await client.send("subscribe", {"channels": [CHANNEL]}, id=1)
            reply = await client.expect("subscribed")
            assert len(json_dumps(reply)) < 70_000
            page = reply["data"]["channels"][CHANNEL]["snapshot"]
            assert (page["index"], page["more"], page["length"]) == (0, True, 500_010)
            text = page["text"]
            while page["more"]:
                await client.send("output.read", {"output_id": "o1", "index": page["next"]}, id=1)
                output.write(f"more at {page['next']}")
                while (message := await client.receive())["type"] != "output.content":
                    text = take(text, message["data"])
                page = message["data"]
                assert len(json_dumps(message)) < 70_000
                text = take(text, page)
            output.write("the end")
        while (message := await client.receive())["type"] != "output.completed":
            text = take(text, message["data"])
        whole = output.state.content()
        assert (whole.index, whole.text) == (0, text)


def take(text: str, message: dict[str, Any]) -> str:
    """As the page about outputs has it."""
    overlap = len(text) - message["index"]
    return text + message["text"][overlap:] if 0 <= overlap < len(message["text"]) else text


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


async def test_item_is_told_in_every_message_or_refused_at_once(autojump_clock: Any) -> None:
    """However deep it is nested; those that wait beside one that is refused are not lost with it."""
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        client, late = await server.connect(), await server.connect()
        await client.request("subscribe", {"channels": [CHANNEL]})
        async with hub.outputs.items("log", output_id="o1") as log:
            log.append("first")
            log.append("second")
            for levels in (241, 254):
                with pytest.raises(rtcore.RequestError, match="an item is nested deeper than 240 levels") as refused:
                    log.append(nested(levels))
                assert refused.value.code is rtcore.ErrorCode.TOO_DEEP
            log.append(nested(240))
        whole = ["first", "second", nested(240)]
        await client.expect("output.started")
        chunks = [(await client.expect("output.chunk"))["data"]["items"] for _ in range(2)]
        assert [item for chunk in chunks for item in chunk] == whole
        assert (await client.request("output.read", {"output_id": "o1"}))["data"]["items"] == whole
        state = (await late.request("subscribe", {"channels": [CHANNEL]}))["data"]["channels"][CHANNEL]["snapshot"]
        assert state["items"] == whole


async def test_index_beyond_the_end_is_refused(autojump_clock: Any) -> None:
    """The end itself is where a client stands that is up to date."""
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        client = await server.connect()
        async with hub.outputs.text("answer", output_id="o1") as output:
            output.write("12345")
            page = (await client.request("output.read", {"output_id": "o1", "index": 5}))["data"]
            assert (page["text"], page["index"], page["next"], page["more"]) == ("", 5, 5, False)
            got = await refusal(client, "output.read", {"output_id": "o1", "index": 6})
            assert got == ("request.malformed", "data.index: expected at most 5, the end of the output so far, got 6")


async def test_cancelling_over_a_connection_is_a_command_of_its_own(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        client = await server.connect()
        async with hub.outputs.text("answer", output_id="o1"):
            reply = await client.request("output.cancel", {"output_id": "o1", "reason": "enough"})
            assert reply["data"] == {"output_id": "o1", "asked": True}
            await trio.sleep_forever()
        reply = await client.request("output.cancel", {"output_id": "o1"})
        assert reply["data"]["asked"] is False


async def test_client_that_goes_away_cancels_nothing(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        async with hub.outputs.text("answer", output_id="o1") as output:
            client = await server.connect()
            await client.request("subscribe", {"channels": [CHANNEL]})
            await client.aclose()
            await trio.sleep(1)
            output.write("x")
        assert not output.cancelled


async def refusal(client: TestClient, type: str, data: object) -> tuple[str, str]:
    await client.send(type, data, id=1)
    error = (await client.expect("error"))["data"]
    return error["code"], error["message"]


BAD = [
    ("output.read", {}, "request.malformed", "data.output_id: missing"),
    ("output.read", {"output_id": 5}, "request.malformed", "data.output_id: expected text"),
    ("output.read", {"output_id": ""}, "request.malformed", "data.output_id: expected 1 to 64 characters, got 0"),
    ("output.read", {"output_id": "x" * 65}, "limit.too_large", "data.output_id: expected 1 to 64 characters, got 65"),
    ("output.read", {"output_id": "zz"}, "request.not_found", "data.output_id: no such output"),
    ("output.read", {"output_id": "mine", "index": -1}, "request.malformed", "data.index: expected a whole number"),
    ("output.read", {"output_id": "mine", "indx": 1}, "request.malformed", "data.indx: unknown field"),
    ("output.cancel", {}, "request.malformed", "data.output_id: missing"),
    ("output.cancel", {"output_id": "zz"}, "request.not_found", "data.output_id: no such output"),
    ("output.cancel", {"output_id": "mine", "reason": "x" * 501}, "limit.too_large", "data.reason: expected 1 to 500"),
    ("output.cancel", {"output_id": "mine"}, "access.denied", "not allowed to cancel this output"),
    ("output.list", {}, "request.malformed", "data.channel: missing"),
    ("output.list", {"channel": "outputs:default", "index": -1}, "request.malformed", "data.index: expected a whole"),
    ("output.list", {"channel": "outputs:w2"}, "access.denied", "not allowed to read this channel"),
    ("output.list", {"channel": "outputs:default:mine"}, "request.malformed", "data.channel: expected one with a list"),
    ("output.list", {"channel": "tasks"}, "request.malformed", "data.channel: expected one with a list"),
    ("output.read", {"output_id": "yours"}, "request.not_found", "data.output_id: no such output"),
    ("output.cancel", {"output_id": "yours"}, "request.not_found", "data.output_id: no such output"),
]


@pytest.mark.parametrize(("type", "data", "code", "message"), BAD)
async def test_bad_input_is_refused_in_words(
    type: str, data: Any, code: str, message: str, autojump_clock: Any
) -> None:
    """Another user's output is refused in the words of one that is not there."""
    settings = rtcore.Settings(anonymous_roles=frozenset())
    async with (
        open_test_hub() as hub,
        open_test_server(settings, hub=hub) as server,
        hub.outputs.text("a", output_id="mine"),
        hub.outputs.text("b", output_id="yours", user="bob"),
    ):
        got = await refusal(await server.connect(), type, data)
        assert (got[0], got[1][: len(message)]) == (code, message)


async def test_output_of_a_user_in_a_workspace_is_his_there_only(autojump_clock: Any) -> None:
    """Who has his name in another workspace neither reads, lists, follows nor ends it."""
    settings = rtcore.Settings(authentication=KEYS)
    async with open_test_hub() as hub, open_test_server(settings, hub=hub) as server:

        async def connect(user: str, workspace: str) -> TestClient:
            claims = {"sub": user, "workspace": workspace, "roles": ["admin"], "exp": hub.clock() + 600}
            return await server.connect(token=jwt.encode(claims, SECRET, "HS256"))

        mine, others = await connect("b:c", "a"), [await connect(*names) for names in (("b:c", "z"), ("c", "a:b"))]
        async with hub.outputs.text("answer", output_id="o:1", user="b:c", workspace="a") as output:
            output.write("secret")
            directory = "member_outputs:a:b~3Ac"
            assert (output.channel, output.directory) == (f"{directory}:o:1", directory)
            for other in others:
                for type in ("output.read", "output.cancel"):
                    assert (await refusal(other, type, {"output_id": "o:1"}))[0] == "request.not_found"
                for channel in (output.channel, directory):
                    assert (await refusal(other, "subscribe", {"channels": [channel]}))[0] == "access.denied"
                    assert (await refusal(other, "output.list", {"channel": channel}))[0] == "access.denied"
            states = (await mine.request("subscribe", {"channels": [output.channel, directory]}))["data"]["channels"]
            assert states[output.channel]["snapshot"]["text"] == "secret"
            assert [each["output_id"] for each in states[directory]["snapshot"]["outputs"]] == ["o:1"]
            page = (await mine.request("output.list", {"channel": directory}))["data"]
            assert page == states[directory]["snapshot"]
            assert (await mine.request("output.cancel", {"output_id": "o:1"}))["data"]["asked"] is True
            await trio.sleep_forever()
        assert output.cancelled


@pytest.mark.parametrize(
    ("names", "channel"),
    [
        ({}, "outputs:default"),
        ({"workspace": "w"}, "outputs:w"),
        ({"user": "ann"}, "user_outputs:ann"),
        ({"user": "ann", "workspace": "w"}, "member_outputs:w:ann"),
    ],
)
async def test_who_is_named_says_who_sees_it(names: Any, channel: str) -> None:
    async with open_test_hub() as hub:
        assert hub.outputs.text("answer", **names).directory == channel


async def test_workspaces_and_users_do_not_see_each_others_outputs(autojump_clock: Any) -> None:
    async with (
        open_test_hub() as hub,
        hub.outputs.text("a", workspace="w1"),
        hub.outputs.text("b", user="ann") as private,
    ):
        for identity in (Identity(user="bob", workspace="w2", roles={"admin"}), Identity(user="bob")):
            assert not hub.access.can_read(identity, "outputs:w1")
            assert not hub.access.can_read(identity, private.channel)
        assert hub.access.can_read(Identity(user="ann"), private.channel)
        assert not hub.access.can_publish(Identity(user="ann", roles={"admin"}), private.channel)
