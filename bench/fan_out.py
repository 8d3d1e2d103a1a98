"""
rtcore beside other WebSocket servers for Python, on this machine: fan-out, echo, handshakes, memory.

Each server runs in a fresh process, pinned to a CPU of its own where the system allows, one after the other, so that
a noisy minute hits all of them. The load generator is part of this script.

Run: python bench/fan_out.py (`pip install rtcore[bench]` brings the other servers)
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from compare.measurements import MEASUREMENTS, Load
from compare.peers import PEERS, Peer, installed_version
from compare.report import Result, describe_machine, render
from compare.server_process import Processors, running_server

_LONGEST_SECONDS = 15.0  # then servers begin to ping, and this client has no pongs


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    load = Load()
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="servers, all by default")
    parser.add_argument("--tests", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS), help="all by default")
    parser.add_argument("--repeats", type=int, default=3, help="rounds over all servers and tests")
    parser.add_argument("--subscribers", type=int, default=load.subscribers, help="in the fan-out tests")
    parser.add_argument("--connections", type=int, default=load.connections, help="in the connect test")
    parser.add_argument("--echoes", type=int, default=load.echoes, help="connections in the echo test")
    parser.add_argument("--size", type=int, default=load.size, help="bytes of a published message")
    parser.add_argument("--seconds", type=float, default=load.seconds, help="of each measurement, up to 15")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run's figures there")
    options = parser.parse_args(arguments)
    if not 0 < options.seconds <= _LONGEST_SECONDS:
        parser.error(f"--seconds: expected more than 0, up to {_LONGEST_SECONDS:.0f}")
    if min(options.repeats, options.subscribers, options.connections, options.echoes) < 1:
        parser.error("--repeats, --subscribers, --connections and --echoes: expected at least 1")
    if not 128 <= options.size <= 8192:
        parser.error("--size: expected 128 to 8192")
    return options


def raise_descriptor_limit() -> None:
    """As many sockets as the system lets this process, and the servers that it starts, have."""
    try:
        import resource
    except ImportError:  # not a Unix
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def installed(names: Sequence[str]) -> dict[str, Peer]:
    found = {name: PEERS[name] for name in names if installed_version(PEERS[name].package) is not None}
    for name in names:
        if name not in found:
            print(f"{PEERS[name].package} is not installed: left out", file=sys.stderr)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    raise_descriptor_limit()
    load = Load(
        subscribers=options.subscribers,
        connections=options.connections,
        echoes=options.echoes,
        seconds=options.seconds,
        warm_up=min(0.5, options.seconds / 4),
        size=options.size,
    )
    peers, processors = installed(options.peers), Processors.found()
    results: list[Result] = []
    for repeat in range(options.repeats):
        for test in options.tests:
            for name, peer in peers.items():
                print(f"run {repeat + 1}: {test}, {name}", file=sys.stderr, flush=True)
                with running_server(peer, processors) as server:
                    results.append(Result(name, test, repeat + 1, MEASUREMENTS[test](peer, server, load)))
    names = {name: f"{name} {installed_version(peer.package)}" for name, peer in peers.items()}
    pinned = "a CPU each" if processors.server is not None else "not pinned"
    print(f"{describe_machine()}; {options.subscribers} subscribers, {options.size} bytes; {pinned}; medians (span)\n")
    print(render(results, names, options.tests))
    if options.json is not None:
        document = {
            "machine": describe_machine(),
            "load": asdict(load),
            "servers": names,
            "runs": [asdict(result) for result in results],
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
