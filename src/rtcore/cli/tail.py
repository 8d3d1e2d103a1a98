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
from rtcore.client.messages import decode_event, field_of
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
    place = "--where"
    try:
        where = filter_of(options.where)
        place = "CHANNEL"
        for channel in channels:
            check_channel_name(channel)
    except ValueError as error:
        raise SettingsError(f"{place}: {escape(str(error))}") from None
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
                await self._follow(client, events)
        return 0

    async def _follow(self, client: Client, events: Subscription) -> None:
        async for event in events:
            if not event.notice or self.options.json:
                self._show(event)
            if isinstance(event, RecoveryNotice):
                for notice in self._recovered(event):
                    await self._show_held(client, notice)
            elif isinstance(event, DroppedNotice):
                self.display.say(dropped_line(event))
            if self._done:
                return

    @property
    def _done(self) -> bool:
        return self.options.count is not None and self._shown >= self.options.count

    def _show(self, event: ReceivedEvent) -> None:
        if not self._done:
            self.display.show(event)
            self._shown += not event.notice

    def _recovered(self, notice: RecoveryNotice) -> list[RecoveryNotice]:
        """The notices of one reconnect come one a channel, before any event; all of them with the last."""
        if not notice.before:
            self.display.say(f"{notice.channel}: {escape(str(notice))}")
            return [notice]
        self._recoveries.append(notice)
        if len(self._recoveries) < len(self.channels):
            return []
        notices, self._recoveries = self._recoveries, []
        for line in recovery_lines(notices, stamp):
            self.display.say(line)
        return notices

    async def _show_held(self, client: Client, notice: RecoveryNotice) -> None:
        """
        Where a state stands for events, none of them follow, since they would be counted twice; but who only looks on
        wants to see those that are left.
        """
        since = notice.before or (str(self.since.position) if isinstance(self.since, FromPosition) else "")
        if notice.recovered or notice.snapshot_offset is None or not since:
            return
        more = True
        while more and not self._done:
            asked: dict[str, Json] = {"channel": notice.channel, "since": since, "where": self.where or None}
            page = await client.request("history", asked)
            for event in map(decode_event, field_of(page, "events", list)):
                if event.offset <= notice.snapshot_offset:  # what is newer comes by itself
                    self._show(event)
            since, more = field_of(page, "position", str), field_of(page, "more", bool)

    def _changed(self, state: ClientState, why: str) -> None:
        if state is ClientState.CONNECTED:
            self._told = ""
            self._recoveries.clear()
        elif state is ClientState.WAITING:
            cause = why.rpartition(";")[0]
            if cause != self._told:  # the same cause again and again is told once
                self._told = cause
                self.display.say(f"not connected: {escape(why)}")
