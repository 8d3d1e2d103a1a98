"""`rtcore serve`: a server, until a signal ends it."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

import trio

from rtcore.application import open_hub
from rtcore.cli.server_options import DEFAULT_URL
from rtcore.cli.serving import look_at
from rtcore.cli.settings_options import add_settings_arguments, settings_of
from rtcore.errors import SettingsError
from rtcore.server.server import Server
from rtcore.server.settings import Settings
from rtcore.server.signals import handle_signals
from rtcore.store.sqlite_store import open_sqlite_store
from rtcore.store.store import Store
from rtcore.values.version import VERSION

__all__ = ["add_arguments", "run"]

_ENDED_AT_ONCE = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.epilog = (
        "SIGTERM and Ctrl-C drain: clients are told to come back, and the server ends; a second one ends it at once.\n"
        "SIGHUP reads certificate and keys again."
    )
    add_settings_arguments(parser)
    parser.add_argument("--host", help="address to listen on [127.0.0.1]")
    parser.add_argument("--port", metavar="NUMBER", help="port to listen on; 0: one that the system chooses [8080]")
    parser.add_argument("--demo", action="store_true", help="publish this machine's metrics and a workflow, on a loop")
    parser.add_argument("--echo", action="store_true", help="add /echo, which sends each message back")
    parser.add_argument(
        "--allow-anonymous", action="store_true", help="let everyone in, also from other machines, without a token"
    )
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), help="least weight of logs [info]"
    )

_COLLECT_AFTER: Final = 50_000
"""Objects made and not freed, of those that could form a cycle; some five thousand connections."""


def run(options: argparse.Namespace) -> int:
    """
    Serve; 0 after a drain.

    Raises:
        SettingsError: If a setting is wrong.
        ServerError: If it cannot listen.
    """
    settings = settings_of(
        options,
        {
            "host": options.host,
            "port": options.port,
            "log_level": options.log_level,
            # A flag that was not given must not undo what a file says.
            "demo": options.demo or None,
            "echo": options.echo or None,
            "allow_anonymous": options.allow_anonymous or None,
        },
    )
    faults = look_at(settings).faults
    if faults:
        raise SettingsError("\n".join(faults))
    logging.basicConfig(
        level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    _tune_collector()
    return trio.run(_serve, settings)


def _tune_collector() -> None:
    """
    Have the cyclic collector look less often: what a server allocates lives as long as its connections.

    With Python's own thresholds every few hundred handshakes walk over all connections that there are, which was a
    sixth of all time when ten thousand connect. Only the program does this: a library must not.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 10, 10)


async def _serve(settings: Settings) -> int:
    code = 0

    async def end_on_second_signal(server: Server, *, task_status: trio.TaskStatus[None]) -> None:
        nonlocal code
        await handle_signals(server, task_status=task_status)
        code = _ENDED_AT_ONCE
        nursery.cancel_scope.cancel()

    async with (
        _open_store(settings) as store,
        open_hub(
            limits=settings.limits, namespaces=settings.namespaces, features=settings.features, store=store
        ) as hub,
        trio.open_nursery() as nursery,
    ):
        server = Server(hub, settings)
        await nursery.start(end_on_second_signal, server)
        async with trio.open_nursery() as serving:
            await serving.start(server.run)
            print(_greeting(server), flush=True)
        nursery.cancel_scope.cancel()
    return code


def _open_store(settings: Settings) -> AbstractAsyncContextManager[Store | None]:
    if settings.store is None:
        return nullcontext()
    return open_sqlite_store(settings.store.path, synchronous=settings.store.synchronous)


def _greeting(server: Server) -> str:
    settings = server.settings
    base = server.url.removesuffix(settings.path)
    web = "http" + base.removeprefix("ws")
    where = "" if server.url == DEFAULT_URL else f" --url {server.url}"
    lines = [
        f"rtcore {VERSION} serves {server.url}",
        f"  statistics  {web}/api/v1/realtime/stats",
        f"  metrics     {web}/metrics",
    ]
    if settings.echo:
        lines.append(f"  echo        {base}/echo")
    if settings.store is not None:
        lines.append(f"  store       {settings.store.path}")
    lines.append(f"  access      {_access(settings)}")
    lines += [
        "Next, in another terminal:",
        # The newest events, as many as there are: of a time before the start, nobody could say what there was.
        f"  rtcore tail{where}" + (" --since last:20" if not settings.demo else ""),
        f"  rtcore exec{where} -- sh -c 'for i in 1 2 3; do echo step $i; sleep 1; done'",
        "Ctrl-C ends it: clients are told to come back; once more ends it at once.",
    ]
    return "\n".join(lines)


def _access(settings: Settings) -> str:
    reach = "this and other machines" if settings.exposed else "this machine only"
    if settings.authentication is None:
        # Some commands need a role that not everybody has: whoever is refused finds here where it is given.
        return f"{reach}, no token needed (anonymous_roles: {', '.join(sorted(settings.anonymous_roles)) or 'none'})"
    return f"{reach}, with a token: export RTCORE_TOKEN=$(rtcore token --user NAME --role publisher ...)"
