"""
The promise of durable approvals: a decision that was acknowledged to its approver is there after SIGKILL, once.

A real process asks, and decides over connections on memory streams; it prints what each approver was answered. It is
killed as soon as so many lines have been read: nothing waits for a time, and which write is under way is up to the
machine.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from rtcore.application import open_hub
from rtcore.features.approvals.approval import Choice
from rtcore.store.sqlite_store import open_sqlite_store

CHILD = """
import os, sys
import trio
import rtcore
from rtcore.server.settings import Settings
from rtcore.testing import open_test_server

path, first = sys.argv[1], int(sys.argv[2])
settings = Settings(
    anonymous_roles=frozenset({"publisher", "approver"}),
    features=rtcore.FeatureSettings(approvals=rtcore.ApprovalSettings(decide_own=True)),
    limits=rtcore.Limits(messages_per_second=1e6, message_burst=1_000_000),
)

def say(*words):
    os.write(1, (" ".join(words) + "\\n").encode())  # at once: a buffer would die with the process

async def work(server, number):
    client = await server.connect("/ws/approvals")
    while True:
        key = f"q{number}"
        request = {"title": key, "key": key, "durable": True, "expires_after": 3600}
        opened = (await client.request("approval.request", request))["data"]["approval"]
        say("asked", key, opened["approval_id"])
        decision = "approve" if number % 2 else "reject"
        vote = {"approval_id": opened["approval_id"], "decision": decision, "reason": f"because {number}"}
        recorded = await client.request("approval.decide", vote)
        assert recorded["type"] == "approval.recorded", recorded
        say("decided", key, decision)
        number += 8

async def main():
    async with (
        rtcore.open_sqlite_store(path) as store,
        rtcore.open_hub(store=store, features=settings.features, limits=settings.limits) as hub,
        open_test_server(settings, hub=hub) as server,
        trio.open_nursery() as nursery,
    ):
        for worker in range(8):
            nursery.start_soon(work, server, first + worker)

trio.run(main)
"""


def run_and_kill(path: Path, *, first: int, lines: int) -> list[list[str]]:
    """Let a child work until it has printed so many lines, kill it, and tell what it printed in all."""
    with subprocess.Popen([sys.executable, "-c", CHILD, str(path), str(first)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        said += child.stdout.readlines()  # what it printed before the signal arrived counts as well
    assert child.returncode == -9
    return [line.decode().split() for line in said]


@pytest.mark.parametrize("seed", range(4))
def test_acknowledged_decision_is_there_once_after_a_kill(tmp_path: Path, seed: int) -> None:
    """Twice on the same file: the second life begins with what the first one left open."""
    dice = random.Random(seed)
    asked: dict[str, str] = {}
    decided: dict[str, str] = {}
    for first in (0, 100_000):
        for word, key, what in run_and_kill(tmp_path / "rtcore.db", first=first, lines=dice.randint(1, 60)):
            (asked if word == "asked" else decided)[key] = what
        trio.run(check, tmp_path / "rtcore.db", asked, decided)


async def check(path: Path, asked: dict[str, str], decided: dict[str, str]) -> None:
    """Every question that was acknowledged is there; every decision too, with one vote and its reason."""
    async with open_sqlite_store(path) as store, open_hub(store=store) as hub:
        documents = await store.read("approvals")
        titles = [document["title"] for document in (each["question"] for _, each in documents)]  # type: ignore[index]
        assert len(titles) == len(set(titles)), "asked twice"
        for key, approval_id in asked.items():
            steps = await hub.approvals.audit(approval_id=approval_id)
            assert steps[0].what == key
            votes = [step for step in steps if step.step == "voted"]
            assert len(votes) <= 1
            assert [step.step for step in steps[1 + len(votes) :]] == ["decided"] * len(votes), (
                "a vote and its decision"
            )
            if key in decided:
                assert [(vote.what, vote.why) for vote in votes] == [(decided[key], f"because {key[1:]}")]
    assert set(decided.values()) <= set(Choice)
