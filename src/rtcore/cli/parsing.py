"""argparse, as rtcore's commands use it: nothing abbreviated, and faults that say what was probably meant."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import NoReturn

from rtcore.cli.terminal import complain
from rtcore.tui.escaping import escape
from rtcore.values.version import VERSION

__all__ = ["CommandParser"]


class CommandParser(argparse.ArgumentParser):
    """The parser of one command."""

    def __init__(self, command: str, purpose: str) -> None:
        super().__init__(
            prog=f"rtcore {command}",
            description=purpose[:1].upper() + purpose[1:] + ".",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_argument("--version", action="version", version=f"rtcore {VERSION}")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The arguments; ends the program with 2 and a line on each fault."""
        options, unknown = self.parse_known_args(list(arguments))
        if unknown:
            self.error(self._unknown(unknown[0]))
        return options

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end the program with 2."""
        complain(f"{self.prog}: {escape(message)}\n{self.format_usage().rstrip()}\nTry `{self.prog} --help`.")
        self.exit(2)

    def _unknown(self, argument: str) -> str:
        name = argument.partition("=")[0]
        near = difflib.get_close_matches(name, self._option_string_actions, n=1) if name.startswith("-") else []
        return f"unknown argument {argument!r}" + (f"; did you mean {near[0]}?" if near else "")
