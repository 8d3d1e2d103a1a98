"""Arguments, help and exit codes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rtcore.cli import main
from rtcore.cli.program import COMMANDS
from rtcore.values.version import VERSION


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_a_version(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"rtcore {command}" in capsys.readouterr().out
    assert main([command, "--version"]) == 0
    assert capsys.readouterr().out == f"rtcore {VERSION}\n"


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ([], "usage: rtcore COMMAND"),
        (["srve"], "unknown command 'srve'; did you mean 'serve'?"),
        (["--verison"], "unknown option '--verison'"),
        (["serve", "--prot", "1"], "unknown argument '--prot'; did you mean --port?"),
        (["serve", "--set", "limits"], "--set: expected PATH=VALUE"),
        (
            ["serve", "--set", "limits.conections=5"],
            '$.limits.conections: unknown setting; did you mean "connections"?',
        ),
        (["serve", "--port", "fast"], '$.port: expected a whole number from 0 to 65535, got "fast"'),
        (["serve", "--host", "0.0.0.0", "--port", "0"], "--allow-anonymous"),
        (["serve", "--config", "/nonexistent.toml"], "/nonexistent.toml: cannot be read"),
        (["exec"], "which command?"),
        (["exec", "--"], "which command?"),
        (["tail", "--since", "yesterday"], "argument --since: expected 10m"),
        (["tail", "a", "b", "--since", "offset:3"], "a position or an offset is of one channel"),
        (["tail", "--where", "status"], "--where: expected FIELD=VALUE"),
        (["tail", "../x"], "CHANNEL: channel name must be"),
        (["tail", "--count", "0"], "whole number over 0"),
        (["tail", "--url", "http//x"], "--url: the URL must have the form"),
        (["tail", "--url", "ws://x/?token=secret"], "must not carry a token"),
        (["tail", "--token-file", "/nonexistent"], "--token-file: /nonexistent cannot be read: No such file"),
        (["publish", "tasks"], "required: TYPE"),
        (["publish", "tasks", "a", "{"], "DATA: not JSON"),
        (["token", "--user", "u"], "no key to sign with"),
        (["token", "--user", "u", "--expires", "0s"], "--expires: expected at least 1s, got '0s'"),
        (["check", "--set", "port=99999"], "$.port:"),
    ],
)
def test_wrong_arguments_end_with_two_and_say_what_is_wrong(
    arguments: list[str], answer: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RTCORE_URL", "RTCORE_TOKEN", "RTCORE_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert answer in captured.err
    assert "secret" not in captured.err
    assert "Traceback" not in captured.err


def test_url_of_another_form_is_named_by_where_it_came_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gave no --url must not look for it."""
    monkeypatch.setenv("RTCORE_URL", "localhost")
    assert main(["tail"]) == 2
    assert capsys.readouterr().err.startswith("RTCORE_URL: the URL must have the form")


@pytest.mark.parametrize(
    ("arguments", "claim"),
    [
        (["--user", ""], "sub"),
        (["--user", "u" * 256], "sub"),
        (["--user", "u", "--workspace", ""], "workspace"),
        (["--user", "u", "--role", "a\nb"], "roles"),
    ],
)
def test_token_that_no_server_would_accept_is_not_made(
    arguments: list[str], claim: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be refused later, elsewhere, where nobody knows why."""
    monkeypatch.setenv("RTCORE_AUTHENTICATION__KEYS__MAIN", '{"algorithm": "HS256"}')
    monkeypatch.setenv("RTCORE_AUTHENTICATION__KEYS__MAIN__SECRET", "0123456789abcdef0123456789abcdef")
    assert main(["token", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"no server would accept it: the token's {claim} is not" in captured.err


def test_help_loads_no_command() -> None:
    """Help must come at once; Trio, the server and rich take their time."""
    program = (
        "import sys; from rtcore.cli import main; main(['--help']); "
        "print([name for name in ('trio', 'rich', 'jwt', 'starlette') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["check"]])
def test_reader_that_went_away_is_no_traceback(arguments: list[str]) -> None:
    """`rtcore --help | head -1` may close the pipe before all is written: 141, as `cat` ends, and nothing is said."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as nobody:
        done = subprocess.run([sys.executable, "-m", "rtcore", *arguments], stdout=nobody, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (141, b"")
