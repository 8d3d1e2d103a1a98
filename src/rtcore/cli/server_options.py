"""Which server a command talks to, and with which token."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rtcore.client import Token
from rtcore.client.transport import parse_address
from rtcore.errors import SettingsError
from rtcore.tui.escaping import escape

__all__ = ["DEFAULT_URL", "add_server_arguments", "token_of", "url_of"]

DEFAULT_URL: Final = "ws://127.0.0.1:8080/ws"
_TOKEN_FILE_BYTES: Final = 64 * 1024


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """`--url` and `--token-file`."""
    group = parser.add_argument_group("server")
    group.add_argument("--url", metavar="URL", help=f"where the server is [RTCORE_URL, otherwise {DEFAULT_URL}]")
    group.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with a token, read again for each connection [otherwise the token in RTCORE_TOKEN, if there is one]",
    )


def url_of(options: argparse.Namespace) -> str:
    """
    The server's URL.

    Raises:
        SettingsError: If it has no good form.
    """
    url: str = options.url or os.environ.get("RTCORE_URL") or DEFAULT_URL
    try:
        parse_address(url)
    except ValueError as error:
        place = "--url" if options.url else "RTCORE_URL"
        raise SettingsError(f"{place}: {error}") from None  # it may hold the very token that it must not
    return url


def token_of(options: argparse.Namespace) -> Token | None:
    """
    The token, or what reads it from its file; None where there is none.

    Never from an argument: everyone on the machine can read those.

    Raises:
        SettingsError: If the file cannot be read now.
    """
    file: Path | None = options.token_file
    if file is None:
        return os.environ.get("RTCORE_TOKEN") or None
    read = _reader(file)
    try:
        read()
    except OSError as error:
        reason = f"{file} cannot be read: {error.strerror}" if error.strerror else str(error)
        raise SettingsError(f"--token-file: {escape(reason)}") from None
    return read


def _reader(file: Path) -> Callable[[], str]:
    def read() -> str:
        with file.open("rb") as stream:
            content = stream.read(_TOKEN_FILE_BYTES + 1)
        token = content.decode("ascii", errors="replace").strip()
        if not token or len(content) > _TOKEN_FILE_BYTES or not token.isprintable():
            raise OSError(f"{file} holds no token")
        return token

    return read
