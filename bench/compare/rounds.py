"""All servers in turn, test by test, round by round: a noisy minute hits all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from load.generator import Figures, LoadFailed, Programs, run_load

from compare.measures import Test
from compare.peers import Peer
from compare.server_process import Machine, running_server

__all__ = ["Result", "generator_arguments", "run_rounds", "takes_part"]


@dataclass(frozen=True)
class Result:
    """One run of one test against one server."""

    server: str
    test: str
    round: int
    figures: Figures
    problem: str = ""
    """Why there are no figures."""


def takes_part(peer: Peer, test: Test) -> bool:
    """Whether a server can do a test."""
    return test.kind in peer.speeches and test.name not in peer.left_out


def generator_arguments(peer: Peer, test: Test, port: int, pid: int, quick: bool) -> list[str]:
    """The command line of one run, without the program."""
    load: Mapping[str, object] = {
        **test.load,
        **((test.quick or {}) if quick else {}),
        **peer.speeches[test.kind],
        "port": port,
        "server-pid": pid,
    }
    return [word for name, value in load.items() for word in (f"--{name}", str(value)) if word]


def _run(peer: Peer, test: Test, number: int, programs: Programs, machine: Machine, quick: bool) -> Result:
    try:
        with running_server(peer, programs, machine) as server:
            arguments = generator_arguments(peer, test, server.port, server.pid, quick)
            figures = run_load(programs, arguments, machine.prefix(machine.generator))
    except LoadFailed as error:
        return Result(peer.name, test.name, number, {}, str(error).splitlines()[-1])
    return Result(peer.name, test.name, number, figures)


def run_rounds(
    peers: Sequence[Peer],
    tests: Sequence[Test],
    rounds: int,
    *,
    programs: Programs,
    machine: Machine,
    quick: bool,
    tell: Callable[[str], None],
) -> list[Result]:
    """Every run's figures, in the order in which they were made."""
    results = []
    for number in range(1, rounds + 1):
        for test in tests:
            for peer in peers:
                if takes_part(peer, test):
                    tell(f"round {number} of {rounds}: {test.name}, {peer.name}")
                    results.append(_run(peer, test, number, programs, machine, quick))
                    if results[-1].problem:
                        tell(f"  failed: {results[-1].problem}")
    return results
