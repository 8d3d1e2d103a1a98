"""The tutorial's programs run as they are printed, one after the other, against each other."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

import rtcore
from rtcore.testing import TestClient

PAGE = "docs/tutorial.md"


@pytest.fixture
def files(blocks_of: Callable[..., list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """Name and text of each file, in the order of the steps."""
    return [(name, text) for name, text in blocks_of(PAGE, "python", "html") if name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Something to hash."""
    letters = tmp_path / "letters"
    letters.mkdir()
    for name in "abc":
        (letters / f"{name}.txt").write_text(name)
    return letters


@asynccontextmanager
async def running(text: str, folder: Path) -> AsyncGenerator[str]:
    """A step's program while it serves; gives its URL."""
    script = folder.parent / "hashes.py"
    script.write_text(text, encoding="utf-8")
    start = partial(
        trio.run_process,
        [sys.executable, "-W", "error", str(script), str(folder)],
        env=os.environ | {"PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # where the log of failed tasks goes
        check=False,
    )
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            process: trio.Process = await nursery.start(start)
            assert process.stdout is not None
            line = b""
            while not line.endswith(b"\n"):
                line += await process.stdout.receive_some()
            yield line.decode().removeprefix("listening at ").strip()
            process.send_signal(signal.SIGTERM)


async def ending(events: rtcore.client.Subscription, family: str) -> tuple[str, dict[str, object]]:
    """Type and data of the next completion or failure."""
    async for event in events:
        if event.type in (f"{family}.completed", f"{family}.failed"):
            assert isinstance(event.data, dict)
            return event.type, dict(event.data)
    raise AssertionError("unreachable: a subscription ends with an exception")


def test_tutorial_has_the_files_that_this_test_runs(files: list[tuple[str, str]]) -> None:
    steps = ["hashes.py"] * 4 + ["follow.py", "page.html", "test_hashes.py"]
    assert [name for name, _ in files] == steps


def test_silent_program_prints_its_hashes(files: list[tuple[str, str]], folder: Path) -> None:
    script = folder.parent / "hashes.py"
    script.write_text(files[0][1])
    command = [sys.executable, "-W", "error", str(script), str(folder)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert [line.split()[1] for line in outcome.stdout.splitlines()] == ["a.txt", "b.txt", "c.txt"]


async def test_second_step_shows_progress(files: list[tuple[str, str]], folder: Path) -> None:
    async with (
        running(files[1][1], folder) as url,
        rtcore.connect(url) as client,
        client.subscribe("tasks", since=rtcore.last(50)) as events,
    ):
        kind, data = await ending(events, "task")
    assert (kind, data["name"], data["result"]) == ("task.completed", "hash letters", {"files": 3})


async def test_third_step_takes_requests_and_survives_bad_ones(files: list[tuple[str, str]], folder: Path) -> None:
    async with (
        running(files[2][1], folder) as url,
        rtcore.connect(url) as client,
        client.subscribe("tasks") as events,
    ):
        await client.publish("requests", "hash.requested", {"pattern": "*.nothing"})
        kind, data = await ending(events, "task")
        assert (kind, data["error"]) == ("task.failed", "no file is called *.nothing")
        await client.publish("requests", "hash.requested", {"pattern": "[ab].txt"})
        kind, data = await ending(events, "task")
        assert (kind, data["result"]) == ("task.completed", {"files": 2})


async def test_fourth_step_serves_the_program_that_follows_it(files: list[tuple[str, str]], folder: Path) -> None:
    script = folder.parent / "follow.py"
    script.write_text(files[4][1])
    async with running(files[3][1], folder) as url:
        outcome = await trio.run_process([sys.executable, "-W", "error", str(script), url], capture_stdout=True)
    lines = outcome.stdout.decode().splitlines()
    assert lines[0] == "workflow.progress 0"
    assert lines[-2:] == ["workflow.progress 100.0", "workflow.completed "]


async def test_page_is_let_in_and_what_it_sends_is_understood(files: list[tuple[str, str]], folder: Path) -> None:
    page = files[5][1]
    subscribe, heartbeat, publish = (json.loads(message) for message in re.findall(r"send\((\{.*\})\)", page))
    async with running(files[3][1], folder) as url:
        host, port = url.removeprefix("ws://").partition("/")[0].split(":")
        stream = await trio.open_tcp_stream(host, int(port))
        async with stream:
            client = TestClient(stream)
            await client.handshake("/ws", headers={"Origin": "http://localhost:8000", "Host": f"{host}:{port}"})
            for message in (subscribe, heartbeat, publish):
                await client.send_json(message)
            types: list[str] = []
            while "workflow.completed" not in types:
                types.append((await client.receive())["type"])
    assert [kind for kind in types if "." not in kind] == ["subscribed", "heartbeat"]


def test_test_of_the_tutorial_passes(files: list[tuple[str, str]], tmp_path: Path) -> None:
    (tmp_path / "hashes.py").write_text(files[3][1])
    (tmp_path / "test_hashes.py").write_text(files[6][1])
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    outcome = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert outcome.returncode == 0, outcome.stdout
    assert "1 passed" in outcome.stdout
