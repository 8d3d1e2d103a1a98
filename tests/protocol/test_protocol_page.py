"""docs/protocol.md is the contract, so its examples run and its tables are complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

import attrs
import pytest

from rtcore.errors import TRANSIENT_CODES, ErrorCode
from rtcore.protocol.command_codec import decode_command
from rtcore.protocol.envelope import decode_message
from rtcore.values.commands import COMMANDS
from rtcore.values.events import RESERVED_TYPES
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^```json (client|server)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [(side, text) for side, text in EXAMPLE.findall(PAGE)]
CLIENT = [text for side, text in EXAMPLES if side == "client"]
SERVER = [json.loads(text) for side, text in EXAMPLES if side == "server"]
LIMITS = Limits()


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables under a heading, without the heads."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


@pytest.mark.parametrize("text", CLIENT)
def test_example_of_a_command_is_understood(text: str) -> None:
    message = decode_message(text.encode(), LIMITS)
    assert isinstance(decode_command(message, LIMITS), COMMANDS[message.type])


def test_every_command_has_an_example() -> None:
    assert {json.loads(text)["type"] for text in CLIENT} == set(COMMANDS)


def test_every_message_of_the_server_has_an_example() -> None:
    own = {message["type"] for message in SERVER if "channel" not in message}
    commands_only = {"ack", "auth", "publish", "refresh", "replay", "set_filters", "subscribe", "unsubscribe"}
    assert own == (RESERVED_TYPES | {"heartbeat"}) - commands_only - {"connection.heartbeat"}


def test_welcome_tells_the_limits_that_it_names() -> None:
    (welcome,) = [message for message in SERVER if message["type"] == "welcome"]
    defaults = attrs.asdict(LIMITS)
    for name, value in welcome["data"]["limits"].items():
        assert value == defaults[name], name


def test_every_error_code_is_listed_with_its_nature() -> None:
    listed = {cells[0].strip("`"): cells[1] for cells in rows("Errors")}
    over_http = {ErrorCode.METHOD_NOT_ALLOWED, ErrorCode.UNSUPPORTED_MEDIA_TYPE}
    expected = [code for code in ErrorCode if code not in over_http]
    assert listed == {code.value: "yes" if code in TRANSIENT_CODES else "no" for code in expected}


def test_every_close_code_is_listed() -> None:
    never_sent = {CloseCode.NO_STATUS, CloseCode.ABNORMAL}
    assert {int(cells[0]) for cells in rows("Close codes")} == {
        int(code) for code in CloseCode if code not in never_sent
    }


def test_limits_of_the_page_exist() -> None:
    names = {field.name for field in attrs.fields(Limits)}
    for cells in rows("Limits"):
        for name in re.findall(r"`(\w+)`", cells[0]):
            assert name in names


def test_links_within_the_page_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", PAGE, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", PAGE)) <= anchors
