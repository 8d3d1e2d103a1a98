"""`rtcore check`: are the settings right, and what are they in effect?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from rtcore.cli.serving import look_at
from rtcore.cli.settings_options import add_settings_arguments, settings_of
from rtcore.cli.terminal import complain
from rtcore.server.settings_converter import settings_table
from rtcore.tui.escaping import escape

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    add_settings_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the settings as JSON")
    parser.epilog = "Exit code 2 and one line per fault if something is wrong; secrets are never shown."


def run(options: argparse.Namespace) -> int:
    """
    Print the effective settings; 2 if a server could not start with them.

    Raises:
        SettingsError: If the settings themselves are wrong.
    """
    settings = settings_of(options)
    table = settings_table(settings)
    print(json.dumps(table, indent=2) if options.json else "\n".join(_lines(table, "")))
    findings = look_at(settings)
    for warning in findings.warnings:
        complain(f"warning: {escape(warning)}")
    for fault in findings.faults:
        complain(escape(fault))
    return 2 if findings.faults else 0


def _lines(value: Any, path: str) -> Iterator[str]:  # Any: JSON
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _lines(item, f"{path}.{name}" if path else name)
    else:
        yield f"{escape(path)} = {escape(json.dumps(value, ensure_ascii=False))}"
