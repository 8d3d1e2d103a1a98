"""What a command says about itself."""

from __future__ import annotations

import sys

from rtcore.errors import AuthenticationError, ErrorCode
from rtcore.tui.escaping import escape

__all__ = ["complain", "words_of"]


def complain(text: str) -> None:
    """Write lines to the standard error. The text must be escaped already where parts of it come from elsewhere."""
    print(text, file=sys.stderr, flush=True)


def words_of(error: BaseException) -> str:
    """What went wrong, escaped, since a server may have said it; and where to put a token, where one is missing."""
    words = escape(str(error))
    if isinstance(error, AuthenticationError) and error.code is ErrorCode.AUTHENTICATION_REQUIRED:
        words += "; put one into RTCORE_TOKEN, or name its file with --token-file"
    return words
