"""
rtcore beside other WebSocket servers on this machine: fan-out, latency, echo, memory, handshakes and more.

Each server runs in a fresh process on a CPU of its own, the load generator (C, built when this first runs) on another.
Servers take turns, test by test, round by round. What the rows mean is said in docs/benchmarks.md.

Run: python bench/run.py (`pip install -e '.[bench]'` brings the other servers; a C compiler and Linux are needed).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from compare.chart import draw
from compare.measures import QUICK, TESTS
from compare.page import write_into_page
from compare.peers import PEERS, Peer, installed_version
from compare.report import describe_machine, render
from compare.rounds import Result, run_rounds
from compare.server_process import Machine
from load.generator import LoadFailed, build

DOCUMENTS = Path(__file__).parents[1] / "docs"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"one short round of {', '.join(QUICK)}: under 3 minutes")
    parser.add_argument("--servers", nargs="+", choices=PEERS, default=list(PEERS), help="all by default")
    parser.add_argument("--tests", nargs="+", choices=TESTS, help="all by default")
    parser.add_argument("--rounds", type=int, help="over all tests and servers: 3, with --quick 1")
    parser.add_argument("--nice", type=int, default=0, help="of server and generator; below 0 takes root")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run's figures there")
    parser.add_argument("--from", type=Path, dest="source", metavar="FILE", help="measure nothing, report such a file")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the chart there")
    parser.add_argument("--update-docs", action="store_true", help="put chart and tables into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds: expected at least 1")
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.tests = options.tests or list(QUICK if options.quick else TESTS)
    if options.quick and not set(options.tests) <= set(QUICK):
        parser.error(f"--tests: a quick run has only {', '.join(QUICK)}")
    return options


def installed(names: Sequence[str]) -> list[Peer]:
    found = [PEERS[name] for name in names if installed_version(PEERS[name]) is not None]
    for name in names:
        if PEERS[name] not in found:
            print(f"{PEERS[name].package} is not installed: left out", file=sys.stderr)
    return found


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Everything that a report needs."""
    peers, machine = installed(options.servers), Machine.found(options.nice)
    results = run_rounds(
        peers,
        [TESTS[name] for name in TESTS if name in options.tests],
        options.rounds,
        programs=build(),
        machine=machine,
        quick=options.quick,
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )
    pinned = "a CPU each for server and generator" if machine.server is not None else "not pinned"
    rounds = f"{options.rounds} round{'s' if options.rounds > 1 else ''}"
    return {
        "caption": f"{describe_machine()}; {pinned}; {rounds}; {time.strftime('%Y-%m-%d')}",
        "servers": {peer.name: f"{peer.name} {installed_version(peer)}".strip() for peer in peers},
        "runs": [asdict(result) for result in results],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        document = json.loads(options.source.read_text(encoding="utf-8")) if options.source else measure(options)
    except LoadFailed as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    results = [Result(**run) for run in document["runs"]]
    tables, chart = render(results, document["servers"]), draw(results, list(document["servers"]), document["caption"])
    print(f"{document['caption']}\n\n{tables}")
    if options.svg:
        options.svg.write_text(chart, encoding="utf-8")
    if options.update_docs:
        (DOCUMENTS / "benchmarks.svg").write_text(chart, encoding="utf-8")
        write_into_page(DOCUMENTS / "benchmarks.md", f"{document['caption']}.\n\n{tables}")
    return 1 if any(result.problem for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
