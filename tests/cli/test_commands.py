"""serve, tail, publish, token and check as a user runs them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[bytes]]
SECRET = "0123456789abcdef0123456789abcdef"
KEY = {
    "RTCORE_AUTHENTICATION__KEYS__MAIN": '{"algorithm": "HS256"}',
    "RTCORE_AUTHENTICATION__KEYS__MAIN__SECRET": SECRET,
}


def test_serve_says_where_it_listens_and_what_to_do_next(start: Any) -> None:
    command = start("serve", "--port", "0", "--echo")
    lines = [command.line()]
    while not lines[-1].startswith("Ctrl-C"):
        lines.append(command.line())
    text = "\n".join(lines)
    for part in (
        "serves ws://127.0.0.1:",
        "/api/v1/realtime/stats",
        "/metrics",
        "/echo",
        "no token",
        "rtcore tail --url",
    ):
        assert part in text


def test_what_serve_says_to_do_next_begins_without_a_warning(start: Any, run: Run) -> None:
    """The first thing that somebody does with a server that has just begun must not look like a fault."""
    command = start("serve", "--port", "0")
    hint = command.line()
    while "rtcore tail" not in hint:
        hint = command.line()
    url = hint.partition("--url ")[2].split()[0]
    for text in ("first", "second"):
        run("publish", "tasks", "note", f'"{text}"', "--url", url)
    ended = run(*hint.split()[1:], "-n", "2")
    assert [line.split()[-1] for line in ended.stdout.decode().splitlines()] == ["first", "second"]
    assert ended.stderr.decode().splitlines() == [f"following tasks, tools, workflows, system at {url}"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_with_zero_after_a_drain(server: Any, number: int) -> None:
    assert server.command.end(number) == 0


def test_serve_on_a_port_in_use_says_so(server: Any, run: Run) -> None:
    port = server.url.rpartition(":")[2].partition("/")[0]
    ended = run("serve", "--port", port)
    assert ended.returncode == 1
    assert ended.stderr.startswith(b"rtcore serve: ")
    assert b"Traceback" not in ended.stderr


def test_publish_prints_the_outcome_and_tail_the_event(server: Any, run: Run, start: Any) -> None:
    tail = start("tail", "news", "--url", server.url, "--where", "level>=3", "-n", "1")
    tail.complaint()
    low = run("publish", "news", "note", '{"level": 2}', "--url", server.url)
    assert b"offset 1" in low.stdout
    assert b"0 matched" in low.stdout
    high = run(
        "publish", "news", "note", "-", "--json", "--url", server.url, stdin=b'{"level": 3, "text": "\\u001b[2J"}'
    )
    assert json.loads(high.stdout) | {"position": ""} == {
        "channel": "news",
        "position": "",
        "offset": 2,
        "matched": 1,
        "sent": 1,
        "queued": 0,
        "dropped": 0,
    }
    shown = tail.line()
    assert '"level":3' in shown
    assert "\x1b" not in shown
    assert tail.process.wait(30) == 0


def test_publish_without_a_server_gives_up_in_time(run: Run) -> None:
    ended = run("publish", "a", "b", "--url", "ws://127.0.0.1:1", "--timeout", "100ms")
    assert ended.returncode == 1
    assert b"no connection to ws://127.0.0.1:1" in ended.stderr
    assert b"refused" in ended.stderr


def test_tail_begins_in_the_past_when_asked(server: Any, run: Run) -> None:
    for number in range(3):
        run("publish", "news", "note", str(number), "--url", server.url)
    ended = run("tail", "news", "--json", "--since", "last:2", "-n", "2", "--url", server.url)
    assert [json.loads(line)["data"] for line in ended.stdout.splitlines()] == [1, 2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_tail_ends_with_128_and_the_signal(server: Any, start: Any, number: int) -> None:
    tail = start("tail", "--url", server.url)
    tail.complaint()
    assert tail.end(number) == 128 + number


def test_tail_says_that_nothing_was_lost_when_only_the_connection_was(server: Any, start: Any, run: Run) -> None:
    """The server closes the tail's connection, and goes on: revocation aside, that is what a proxy does every day."""
    tail = start("tail", "news", "--json", "--url", server.url)
    tail.complaint()
    run("publish", "news", "note", "1", "--url", server.url)
    assert json.loads(tail.line())["data"] == 1
    tail.process.send_signal(signal.SIGSTOP)
    run("publish", "news", "note", "2", "--url", server.url)
    tail.process.send_signal(signal.SIGCONT)
    assert json.loads(tail.line())["data"] == 2


def test_token_opens_a_server_with_the_same_settings(start: Any, run: Run, tmp_path: Path) -> None:
    command = start("serve", "--port", "0", **KEY)
    match = re.search(r"ws://\S+", command.line())
    assert match is not None
    refused = run("publish", "news", "note", "1", "--url", match[0])
    assert refused.returncode == 1
    assert b"requires a token; put one into RTCORE_TOKEN, or name its file with --token-file" in refused.stderr
    made = run("token", "--user", "ann", "--role", "publisher", "--workspace", "w", "--expires", "5m", **KEY)
    token = made.stdout.decode().strip()
    assert run("publish", "news", "note", "1", "--url", match[0], RTCORE_TOKEN=token).returncode == 0
    file = tmp_path / "token"
    file.write_text(token + "\n")
    assert run("publish", "news", "note", "1", "--url", match[0], "--token-file", str(file)).returncode == 0
    wrong = run("publish", "news", "note", "1", "--url", match[0], RTCORE_TOKEN=token[:-4] + "AAAA")
    assert wrong.returncode == 1
    assert token[:-4].encode() not in wrong.stderr


def test_token_carries_what_was_asked_for_and_ends(run: Run) -> None:
    import jwt

    more = {"RTCORE_AUTHENTICATION__ISSUER": "me", "RTCORE_AUTHENTICATION__AUDIENCE": "here"}
    made = run(
        "token", "--user", "ann", "--role", "a", "--role", "b", "--workspace", "w", "--expires", "2h", **KEY, **more
    )
    claims = jwt.decode(made.stdout.decode().strip(), SECRET, algorithms=["HS256"], audience="here", issuer="me")
    assert (claims["sub"], claims["roles"], claims["workspace"]) == ("ann", ["a", "b"], "w")
    assert claims["exp"] - claims["iat"] == 7200
    assert claims["iat"] <= time.time()


def test_check_prints_the_settings_and_hides_secrets(run: Run) -> None:
    ended = run("check", "--set", "limits.connections=5000", **KEY)
    assert ended.returncode == 0
    assert b"limits.connections = 5000" in ended.stdout
    assert SECRET.encode() not in ended.stdout + ended.stderr
    assert json.loads(run("check", "--json", **KEY).stdout)["limits"]["connections"] == 1000


@pytest.mark.parametrize("command", ["check", "serve"])
def test_every_fault_of_the_settings_is_named_with_its_path(run: Run, tmp_path: Path, command: str) -> None:
    """Not one after the other, and never as a traceback: also what only the features together can know."""
    settings = tmp_path / "s.toml"
    settings.write_text(
        'path = "/metrics"\n[limits]\nbatch_events = 2000\n'
        '[profiles.mine]\npath = "/api/v1/publish"\ncommands = { a = "publsh" }\nschedules = { nope = 1 }\n'
    )
    ended = run(command, "--config", str(settings))
    assert ended.returncode == 2
    assert [line.partition(": ")[0] for line in ended.stderr.decode().splitlines()] == [
        "$.limits.batch_events",
        "$.path",
        "$.profiles.mine.path",
        "$.profiles.mine.commands.a",
        "$.profiles.mine.schedules.nope",
    ]


@pytest.mark.parametrize("command", ["check", "serve"])
def test_hub_that_cannot_be_made_hides_no_other_fault(run: Run, tmp_path: Path, command: str) -> None:
    """Which names there are is known all the same."""
    settings = tmp_path / "s.toml"
    settings.write_text(
        '[limits]\nmetric_streams = 14\n[features.metrics]\nclient_streams = ["one_more"]\n'
        '[profiles.mine]\npath = "/metrics"\ncommands = { a = "publsh" }\n'
    )
    ended = run(command, "--config", str(settings))
    assert ended.returncode == 2
    told = [line.partition(": ") for line in ended.stderr.decode().splitlines()]
    assert [place for place, _, _ in told] == [
        "$.limits.metric_streams",
        "$.profiles.mine.path",
        "$.profiles.mine.commands.a",
    ]
    assert told[0][2].startswith("expected at least 15 (those of every hub")


def test_check_finds_what_only_the_start_of_a_server_would(run: Run, tmp_path: Path) -> None:
    settings = tmp_path / "rtcore.toml"
    settings.write_text('host = "0.0.0.0"\n[tls]\ncertificate = "missing.pem"\nkey = "missing.key"\n')
    ended = run("check", "--config", str(settings))
    assert ended.returncode == 2
    assert b"$.host:" in ended.stderr
    assert b"missing.pem" in ended.stderr


def test_check_warns_of_what_is_allowed_and_may_not_be_meant(run: Run) -> None:
    """As the server's log will, but before it is there for everybody."""
    ended = run("check", "--set", "host=0.0.0.0", **KEY)
    assert ended.returncode == 0
    assert ended.stderr.startswith(b"warning: $.tls: tokens cross the network in the clear")
    assert run("check", **KEY).stderr == b""


@pytest.mark.parametrize("command", ["check", "serve"])
def test_store_that_cannot_be_is_a_fault_of_the_settings(run: Run, tmp_path: Path, command: str) -> None:
    """A check that passes promises a start."""
    ended = run(command, "--set", f"store.path={tmp_path / 'nowhere' / 'x.db'}")
    assert (ended.returncode, ended.stderr.partition(b": ")[0]) == (2, b"$.store.path")


def test_module_runs_as_a_program() -> None:
    ended = subprocess.run([sys.executable, "-m", "rtcore", "--version"], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("rtcore ")
