"""`rtcore exec`: to the command and its user as if rtcore were not there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import rtcore

Run = Callable[..., subprocess.CompletedProcess[bytes]]
NOWHERE = "ws://127.0.0.1:1"
"""Nobody listens on port 1."""


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)],
)
def test_exit_code_is_the_commands_own(run: Run, script: str, code: int) -> None:
    assert run("exec", "--url", NOWHERE, "--", "sh", "-c", script).returncode == code


def test_command_that_is_not_found_gives_127_and_one_that_cannot_run_126(run: Run, tmp_path: Any) -> None:
    assert run("exec", "--url", NOWHERE, "--", str(tmp_path / "missing")).returncode == 127
    plain = tmp_path / "plain"
    plain.write_text("not a program")
    assert run("exec", "--url", NOWHERE, "--", str(plain)).returncode == 126


def test_output_comes_out_byte_for_byte_on_its_own_stream(run: Run) -> None:
    """Also what is no UTF-8 and what acts on terminals: it is the user's own command."""
    script = r"printf '\377\376 a\033[31m\r'; printf 'wrong\000' >&2"
    ended = run("exec", "--url", NOWHERE, "--", "sh", "-c", script)
    assert ended.stdout == b"\xff\xfe a\x1b[31m\r"
    assert b"wrong\x00" in ended.stderr


def test_standard_input_is_the_commands(run: Run) -> None:
    assert run("exec", "--url", NOWHERE, "--", "cat", stdin=b"given").stdout == b"given"


def test_arguments_after_the_dashes_are_the_commands(run: Run) -> None:
    ended = run("exec", "--url", NOWHERE, "--", "echo", "--name", "x", "--", "--help")
    assert ended.stdout == b"--name x -- --help\n"


def test_missing_server_is_a_warning_and_no_more(run: Run) -> None:
    ended = run("exec", "--url", NOWHERE, "--", "echo", "done")
    assert (ended.returncode, ended.stdout) == (0, b"done\n")
    assert b"no server at" in ended.stderr
    assert b"the command runs all the same" in ended.stderr


def test_great_output_is_passed_on_whole(run: Run) -> None:
    ended = run("exec", "--url", NOWHERE, "--", "seq", "1", "200000")
    assert ended.stdout == b"".join(b"%d\n" % number for number in range(1, 200_001))


def test_execution_is_shown_live_with_both_outputs_and_its_end(server: Any, run: Run, start: Any) -> None:
    tail = start("tail", "tools", "--json", "--url", server.url)
    assert tail.complaint().startswith("following tools")
    script = "echo out; echo err >&2; exit 4"
    ended = run("exec", "--url", server.url, "--name", "probe", "--", "sh", "-c", script)
    assert (ended.returncode, ended.stdout) == (4, b"out\n")
    events = []
    while not events or events[-1]["type"] != "tool.failed":
        events.append(json.loads(tail.line()))
    assert events[0]["type"] == "tool.started"
    assert {event["data"]["execution_id"] for event in events} == {events[0]["data"]["execution_id"]}
    assert {event["data"]["tool"] for event in events} == {"probe"}
    output = {event["data"]["is_stderr"]: event["data"]["output"] for event in events[1:-1]}
    assert output == {False: "out\n", True: "err\n"}
    assert events[-1]["data"]["exit_code"] == 4
    assert "command" not in events[0]["data"], "a command line may hold secrets"


def test_execution_survives_a_restart_of_the_server(server: Any, start: Any, tmp_path: Any) -> None:
    gate = tmp_path / "gate"
    script = f'echo before; while [ ! -e "{gate}" ]; do sleep 0.05; done; echo after'
    tail = start("tail", "tools", "--plain", "--url", server.url)
    tail.complaint()
    execution = start("exec", "--url", server.url, "--name", "probe", "--linger", "30s", "--", "sh", "-c", script)
    assert execution.line() == "before"
    assert "tool.started" in tail.line()
    assert tail.line().endswith("| before")
    server.kill()
    assert "not connected" in tail.complaint()
    gate.touch()
    assert execution.line() == "after"
    server.start_again()
    assert execution.process.wait(30) == 0
    line = tail.line()
    while "tool.completed" not in line:
        assert "tool.started" in line or line.endswith("| after")
        line = tail.line()
    complaint = tail.complaint()
    while "new epoch" not in complaint:
        assert "not connected" in complaint
        complaint = tail.complaint()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_goes_to_the_command(start: Any, number: int) -> None:
    script = 'trap "echo caught; exit 7" TERM INT HUP; echo ready; while :; do sleep 0.05; done'
    execution = start("exec", "--url", NOWHERE, "--", "sh", "-c", script)
    assert execution.line() == "ready"
    assert execution.end(number) == 7
    assert execution.line() == "caught"


def test_signal_that_is_ignored_stays_ignored() -> None:
    """`nohup rtcore exec -- COMMAND` must protect the command."""
    inner = f'exec {sys.executable} -m rtcore exec --url {NOWHERE} -- sh -c "kill -HUP \\$\\$; echo alive"'
    ended = subprocess.run(
        ["sh", "-c", f"trap '' HUP; {inner}"],
        capture_output=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(rtcore.__file__))},
    )
    assert ended.stdout == b"alive\n"


def test_command_is_told_when_nobody_reads_its_output_any_more(start: Any) -> None:
    """As without rtcore: it gets SIGPIPE, and does not run for ever."""
    execution = start("exec", "--url", NOWHERE, "--", "yes")
    assert execution.line() == "y"
    execution.process.stdout.close()
    assert execution.process.wait(30) == 128 + signal.SIGPIPE
    execution.process.stdout = None
