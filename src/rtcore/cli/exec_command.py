"""
`rtcore exec`: a command as a tool of a running server.

To the command and its user it is as if rtcore were not there: it has this terminal, standard input and process group,
its output comes out byte for byte, its exit code is ours, and it never waits for the server. What the server cannot
take in time waits, bounded; what does not fit is left out and said: in the next `tool.output`, and at the end here.
"""

from __future__ import annotations

import argparse
import os
import shlex
from functools import partial

import trio
from attrs import define, field

from rtcore.cli.exec_process import Interruptions, run_attached
from rtcore.cli.exec_report import Reporter
from rtcore.cli.moments import duration
from rtcore.cli.server_options import add_server_arguments, token_of, url_of
from rtcore.cli.terminal import complain, words_of
from rtcore.client import Client, ClientState, connect
from rtcore.errors import ProcessNotStarted
from rtcore.tui.escaping import escape

__all__ = ["add_arguments", "run"]

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.usage = "rtcore exec [OPTIONS] -- COMMAND [ARGUMENT ...]"
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command, after --")
    parser.add_argument("--name", metavar="NAME", help="what to call it [the program's name]")
    parser.add_argument(
        "--show-command",
        action="store_true",
        help="publish the whole command line; it may hold secrets [only the name]",
    )
    parser.add_argument(
        "--linger",
        type=duration,
        default=5.0,
        metavar="DURATION",
        help="how long to wait at the end for the server to take the rest [5s]",
    )
    add_server_arguments(parser)
    parser.epilog = (
        "Exit code: the command's own; 128 and the number of the signal that ended it; 127 if it was not found,\n"
        "126 if it cannot be run. The server makes no difference to it."
    )


def run(options: argparse.Namespace) -> int:
    """
    Run the command to its exit code.

    Raises:
        SettingsError: If the URL or the token's file is no good.
    """
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        complain("rtcore exec: which command? Write it after --, as in: rtcore exec -- make test")
        return 2
    return trio.run(partial(_Execution(options, command, url_of(options)).run))


@define(eq=False)
class _Execution:
    """One run of one command."""

    options: argparse.Namespace
    command: list[str]
    url: str
    was_connected: bool = field(default=False, init=False)
    gave_up: trio.Event = field(factory=trio.Event, init=False)
    """There is no server, and at the end nobody waits for one."""

    async def run(self) -> int:
        token = token_of(self.options)
        async with connect(self.url, token=token, on_change=self._changed) as client, trio.open_nursery() as nursery:
            shown = shlex.join(self.command) if self.options.show_command else None
            name = self.options.name or os.path.basename(self.command[0]) or "process"
            reporter = Reporter(client, name, command=shown)
            nursery.start_soon(reporter.run)
            interruptions: Interruptions = await nursery.start(Interruptions().run)
            code = await self._follow(reporter, interruptions)
            await self._finish(client, reporter, interruptions)
            nursery.cancel_scope.cancel()
        return code

    async def _follow(self, reporter: Reporter, interruptions: Interruptions) -> int:
        try:
            ended = await run_attached(self.command, interruptions, reporter.started, reporter.output)
        except ProcessNotStarted as error:
            complain(f"rtcore exec: {escape(str(error))}")
            reporter.failed(str(error))
            return _NOT_FOUND if isinstance(error.__cause__, FileNotFoundError) else _NOT_EXECUTABLE
        reporter.ended(ended)
        return ended if ended >= 0 else 128 - ended

    async def _finish(self, client: Client, reporter: Reporter, interruptions: Interruptions) -> None:
        """Give the server some time to take the rest; none if it was never there."""
        with trio.move_on_after(self.options.linger) as scope, interruptions.cancel(scope):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end_when_given_up, scope)
                await reporter.done.wait()
                nursery.cancel_scope.cancel()
        if reporter.failure is not None:
            complain(f"rtcore exec: the server refused: {words_of(reporter.failure)}")
        elif not reporter.done.is_set() and self.was_connected:
            complain(f"rtcore exec: {reporter.waiting} bytes of output and the end were not shown: the server is away")
        if reporter.omitted_total:
            complain(f"rtcore exec: {reporter.omitted_total} bytes of output were not shown: too much at once")

    async def _end_when_given_up(self, scope: trio.CancelScope) -> None:
        await self.gave_up.wait()
        scope.cancel()

    def _changed(self, state: ClientState, why: str) -> None:
        if state is ClientState.CONNECTED:
            self.was_connected = True
        elif state is ClientState.WAITING and not (self.was_connected or self.gave_up.is_set()):
            cause = escape(why.rpartition(";")[0])
            complain(f"rtcore exec: no server at {escape(self.url)}: {cause}; the command runs all the same")
            self.gave_up.set()
