"""`rtcore check`: are the settings right, and what are they in effect?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from rtcore.cli.settings_options import add_settings_arguments, settings_of
from rtcore.cli.terminal import complain
from rtcore.errors import SettingsError
from rtcore.server.keys import load_keys
from rtcore.server.settings import Settings, check_exposure
from rtcore.server.settings_converter import settings_table
from rtcore.server.tls import TlsContext
from rtcore.tui.escaping import escape

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    add_settings_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the settings as JSON")
    parser.epilog = "Exit code 2 and one line per fault if something is wrong; secrets are never shown."


def run(options: argparse.Namespace) -> int:
    """
    Print the effective settings; 2 if a file that they name is of no use.

    Raises:
        SettingsError: If the settings themselves are wrong.
    """
    settings = settings_of(options)
    table = settings_table(settings)
    print(json.dumps(table, indent=2) if options.json else "\n".join(_lines(table, "")))
    faults = list(_faults(settings))
    for fault in faults:
        complain(escape(fault))
    return 2 if faults else 0


def _faults(settings: Settings) -> Iterator[str]:
    """What only the start of a server would find out."""

    def authentication() -> None:
        if settings.authentication is not None:
            load_keys(settings.authentication.keys)

    def tls() -> None:
        if settings.tls is not None:
            TlsContext(settings.tls)

    def exposure() -> None:
        check_exposure(settings)

    for check in (exposure, authentication, tls):
        try:
            check()
        except SettingsError as error:
            yield from str(error).splitlines()


def _lines(value: Any, path: str) -> Iterator[str]:  # Any: JSON
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _lines(item, f"{path}.{name}" if path else name)
    else:
        yield f"{escape(path)} = {escape(json.dumps(value, ensure_ascii=False))}"
