"""From the arguments to a command and its exit code."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Final

from rtcore.cli.parsing import CommandParser
from rtcore.cli.terminal import complain, words_of
from rtcore.errors import RtcoreError, SettingsError
from rtcore.values.version import VERSION

__all__ = ["COMMANDS", "main"]

COMMANDS: Final = MappingProxyType(
    {
        "serve": ("serve", "run a server"),
        "exec": ("exec_command", "run a command and show its output live"),
        "tail": ("tail", "follow what happens"),
        "publish": ("publish", "publish one event"),
        "token": ("token", "make a token"),
        "check": ("check", "check the settings and print them"),
    }
)
"""Commands, each with its module and what it does."""

USAGE: Final = 2
_BROKEN_PIPE: Final = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command.

    Args:
        arguments: Those after the program's name; None: of this process.

    Returns:
        The exit code; see the package.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments:
        complain(_overview())
        return USAGE
    command, rest = arguments[0], arguments[1:]
    try:
        code = _answer(command, rest)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end, and would complain about the same pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except SystemExit as leaving:  # argparse: help, version, or a fault that it has told
        return leaving.code if isinstance(leaving.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except (RtcoreError, OSError, BaseExceptionGroup) as error:
        return _failed(command, error)
    return code


def _answer(command: str, arguments: list[str]) -> int:
    if command in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if command in ("-V", "--version", "version"):
        print(f"rtcore {VERSION}")
        return 0
    if command not in COMMANDS:
        complain(f"rtcore: {_unknown(command)}\nTry `rtcore --help`.")
        return USAGE
    module_name, purpose = COMMANDS[command]
    module = import_module(f"rtcore.cli.{module_name}")
    parser = CommandParser(command, purpose)
    module.add_arguments(parser)
    code: int = module.run(parser.parse(arguments))
    return code


def _failed(command: str, error: BaseException) -> int:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, SettingsError):
        complain(str(error))
        return USAGE
    if isinstance(error, BrokenPipeError):
        return _BROKEN_PIPE
    if isinstance(error, RtcoreError | OSError):
        complain(f"rtcore {command}: {words_of(error)}")
        return 1
    if isinstance(error, KeyboardInterrupt):
        return 130
    raise error


def _overview() -> str:
    lines = [f"rtcore {VERSION}: what is happening now, live", "", "usage: rtcore COMMAND [ARGUMENTS]", ""]
    lines += [f"  {name:<9}{purpose}" for name, (_, purpose) in COMMANDS.items()]
    lines += ["", "`rtcore COMMAND --help` says more; `rtcore --version` says which version this is."]
    return "\n".join(lines)


def _unknown(command: str) -> str:
    near = difflib.get_close_matches(command, COMMANDS, n=1)
    what = "option" if command.startswith("-") else "command"
    return f"unknown {what} {command!r}" + (f"; did you mean {near[0]!r}?" if near else "")
