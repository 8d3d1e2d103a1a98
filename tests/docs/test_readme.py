"""The README: its commands are those of the checks, and its programs run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Blocks = list[tuple[str, str]]
VENV = "python3 -m venv .venv && .venv/bin/pip install "


@pytest.fixture
def commands(blocks_of: Callable[..., Blocks]) -> list[str]:
    """The one-line shell blocks that make a virtual environment."""
    return [text.strip() for _, text in blocks_of("README.md", "sh") if text.startswith(VENV)]


def test_two_commands_are_one_line_each_and_make_their_own_environment(commands: list[str]) -> None:
    serve, test = commands
    assert serve == f"{VENV}. && .venv/bin/rtcore serve --demo"
    assert test.startswith(VENV)
    assert test.endswith(".venv/bin/python -m pytest")
    assert all("\n" not in command for command in commands)


def test_checks_end_with_the_very_test_command_of_the_readme(commands: list[str], project: Path) -> None:
    """Otherwise CI would pass where a new user fails."""
    script = (project / ".ci" / "run").read_text(encoding="utf-8")
    assert f'test_command="{commands[1]}"' in script
    assert script.strip().splitlines()[-1] == 'sh -c "$test_command"'


def test_program_that_embeds_runs_as_printed(blocks_of: Callable[..., Blocks], tmp_path: Path) -> None:
    script = tmp_path / "embed.py"
    script.write_text(dict(blocks_of("README.md", "python"))["embed.py"], encoding="utf-8")
    outcome = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")
    first, *events = outcome.stdout.splitlines()
    assert re.fullmatch(r"rtcore tail --url ws://127\.0\.0\.1:\d+/ws", first)
    assert [line.split()[0] for line in events] == ["task.status", "task.progress", "task.completed", "task.noted"]


def test_handler_for_a_trio_websocket_server_is_the_one_of_the_example(
    blocks_of: Callable[..., Blocks], project: Path
) -> None:
    """The example is run by a test of its own; what the README shows of it must be in it."""
    names: dict[str, object] = {}
    exec(dict(blocks_of("README.md", "python"))["handler.py"], names)
    assert callable(names["handle"])
    example = (project / "examples" / "trio_websocket_server.py").read_text(encoding="utf-8")
    assert 'await request.accept(subprotocol="rtcore.v1")' in example
    assert "await hub.attach(connection, identity=" in example


def test_error_that_the_readme_shows_is_the_one_that_is_printed(blocks_of: Callable[..., Blocks]) -> None:
    (shown,) = [text for _, text in blocks_of("README.md", "console") if "rtcore check" in text]
    command, expected = shown.strip().split("\n")
    outcome = subprocess.run(
        [sys.executable, "-m", *command.removeprefix("$ ").split()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (outcome.returncode, outcome.stderr.strip()) == (2, expected)
