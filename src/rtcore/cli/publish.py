"""`rtcore publish`: one event, and what became of it."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial

from rtcore.cli.moments import duration
from rtcore.cli.running import run_command
from rtcore.cli.server_options import add_server_arguments, token_of, url_of
from rtcore.cli.terminal import complain
from rtcore.client import connect
from rtcore.errors import ErrorCode, RequestError, SettingsError
from rtcore.hub.publication import outcome_data
from rtcore.hub.results import PublishOutcome
from rtcore.tui.escaping import escape
from rtcore.values.events import Json, Lane

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("channel", metavar="CHANNEL", help="channel to publish on, such as tasks")
    parser.add_argument("type", metavar="TYPE", help="type of the event, such as task.progress")
    parser.add_argument(
        "data", metavar="DATA", nargs="?", default="{}", help="JSON; - reads it from standard input [{}]"
    )
    parser.add_argument("--lane", choices=("high", "normal", "low"), help="priority [by the type]")
    parser.add_argument("--key", help="conflation key: a newer event of the same key may stand for an older one")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    parser.add_argument(
        "--timeout", type=duration, default=10.0, metavar="DURATION", help="longest wait for the server [10s]"
    )
    add_server_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """
    Publish and print the outcome.

    Raises:
        SettingsError: If DATA is not JSON.
        RequestError: If the server refuses, or does not answer in time.
    """
    text = sys.stdin.read() if options.data == "-" else options.data
    try:
        data: Json = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"DATA: not JSON: {error}; text must be quoted twice, as in '\"text\"'") from None
    return run_command(partial(_publish, options, data))


async def _publish(options: argparse.Namespace, data: Json) -> int:
    async with connect(url_of(options), token=token_of(options)) as client:
        try:
            outcome = await client.publish(
                options.channel,
                options.type,
                data,
                lane=None if options.lane is None else Lane[options.lane.upper()],
                key=options.key,
                timeout_seconds=options.timeout,
            )
        except RequestError as error:
            if error.code is not ErrorCode.TIMEOUT or client.statistics().connections:
                raise
            complain(f"rtcore publish: no connection to {url_of(options)}: {escape(client.statistics().last_ending)}")
            return 1
    print(_json(outcome) if options.json else _words(outcome))
    return 0


def _words(outcome: PublishOutcome) -> str:
    return (
        f"published on {outcome.channel} at offset {outcome.offset} (position {outcome.position}): "
        f"{outcome.matched} matched, {outcome.sent} sent, {outcome.queued} queued, {outcome.dropped} dropped"
    )


def _json(outcome: PublishOutcome) -> str:
    return json.dumps(outcome_data(outcome))
