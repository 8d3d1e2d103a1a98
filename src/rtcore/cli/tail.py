"""`rtcore tail`: what happens, as it happens, over lost connections; what was lost is said."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from attrs import define, field

from rtcore.cli.moments import filter_of, since
from rtcore.cli.running import run_command
from rtcore.cli.server_options import add_server_arguments, token_of, url_of
from rtcore.client import Client, ClientState, DroppedNotice, ReceivedEvent, RecoveryNotice, Subscription, connect
from rtcore.errors import SettingsError
from rtcore.tui.displays import Display, JsonLines, PlainLines, dropped_line, open_board, recovery_lines
from rtcore.tui.escaping import escape
from rtcore.tui.lines import stamp
from rtcore.values.channels import check_channel_name
from rtcore.values.events import Json
from rtcore.values.positions import FromOffset, FromPosition, Since

__all__ = ["add_arguments", "run"]

_CHANNELS = ("tasks", "tools", "workflows", "system")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("channels", nargs="*", metavar="CHANNEL", help=f"what to follow [{' '.join(_CHANNELS)}]")
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="only events whose data has this; also >=, <=, >, <; may be repeated; type=task.* is the event's type",
    )
    parser.add_argument(
        "--since", type=since, metavar="WHEN", help="begin in the past: 10m, last:20, offset:42, a time, a position"
    )
    parser.add_argument("--repair", action="store_true", help="ask for dropped events again, and show them late")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, notices included")
    parser.add_argument("--plain", action="store_true", help="lines without progress bars, also on a terminal")
    parser.add_argument("-n", "--count", type=_count, metavar="NUMBER", help="end after so many events [never]")
    add_server_arguments(parser)
    parser.epilog = "Ends with Ctrl-C. Output that is not a terminal gets plain lines; what is lost is told on stderr."


def run(options: argparse.Namespace) -> int:
    """
    Follow until a signal, or --count.

    Raises:
        SettingsError: If an argument is no good.
        RequestError: If the server refuses.
    """
    channels: tuple[str, ...] = tuple(dict.fromkeys(options.channels)) or _CHANNELS
    try:
        where = filter_of(options.where)
        for channel in channels:
            check_channel_name(channel)
    except ValueError as error:
        raise SettingsError(escape(str(error))) from None
    if isinstance(options.since, FromPosition | FromOffset) and len(channels) > 1:
        raise SettingsError("--since: a position or an offset is of one channel; name that channel")
    return run_command(partial(_Tail(options, channels, where, options.since, _display(options)).run))


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number over 0, got {text!r}")
    return int(text)


def _display(options: argparse.Namespace) -> Display:
    if options.json:
        return JsonLines()
    if options.plain or not sys.stdout.isatty():
        return PlainLines()
    return open_board()


@define(eq=False)
class _Tail:
    """One run of `tail`."""

    options: argparse.Namespace
    channels: tuple[str, ...]
    where: dict[str, Json]
    since: Since | None
    display: Display
    _shown: int = field(default=0, init=False)
    _told: str = field(default="", init=False)
    _recoveries: list[RecoveryNotice] = field(factory=list, init=False)

    async def run(self) -> int:
        url = url_of(self.options)
        subscription = partial(Client.subscribe, where=self.where or None, since=self.since, repair=self.options.repair)
        token = token_of(self.options)
        with self.display:
            async with (
                connect(url, token=token, on_change=self._changed) as client,
                subscription(client, *self.channels) as events,
            ):
                self.display.say(f"following {', '.join(self.channels)} at {escape(url)}")
                await self._follow(events)
        return 0

    async def _follow(self, events: Subscription) -> None:
        async for event in events:
            if isinstance(event, RecoveryNotice):
                self._recovered(event)
            elif isinstance(event, DroppedNotice):
                self.display.say(dropped_line(event))
            if not event.notice or self.options.json:
                self._show(event)
            if self.options.count is not None and self._shown >= self.options.count:
                return

    def _show(self, event: ReceivedEvent) -> None:
        self.display.show(event)
        self._shown += not event.notice

    def _recovered(self, notice: RecoveryNotice) -> None:
        """The notices of one reconnect come one a channel, before any event."""
        if not notice.before:
            self.display.say(f"{notice.channel}: {escape(str(notice))}")
            return
        self._recoveries.append(notice)
        if len(self._recoveries) == len(self.channels):
            for line in recovery_lines(self._recoveries, stamp):
                self.display.say(line)
            self._recoveries.clear()

    def _changed(self, state: ClientState, why: str) -> None:
        if state is ClientState.CONNECTED:
            self._told = ""
            self._recoveries.clear()
        elif state is ClientState.WAITING:
            cause = why.rpartition(";")[0]
            if cause != self._told:  # the same cause again and again is told once
                self._told = cause
                self.display.say(f"not connected: {escape(why)}")
