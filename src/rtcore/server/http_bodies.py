"""Bodies and parameters from clients: bounded while they come in, and every fault named by its field."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, cast

import trio
from starlette.requests import Request

from rtcore.errors import ErrorCode, RequestError
from rtcore.values.events import Json
from rtcore.values.limits import Limits
from rtcore.values.shown import show

__all__ = ["Fields", "as_number", "read_body", "read_parameters", "whole_parameter"]

_MISSING: Final = object()

_DIGITS: Final = 18
"""Most digits of a whole number: as in a position, so that every offset fits into 64 bits."""


async def read_body(request: Request, limits: Limits) -> bytes:
    """
    The body of a request that must be JSON, read within `Limits.body_seconds`.

    Raises:
        RequestError: 415 if it is something else, 413 as soon as it is too large, 408 if it is too slow.
    """
    _check_media_type(request)
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limits.publish_body_bytes:
        raise _too_large(limits)
    body = bytearray()
    with trio.move_on_after(limits.body_seconds):
        while True:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise RequestError(ErrorCode.MALFORMED, "the connection ended before the body did")
            body += message.get("body", b"")
            if len(body) > limits.publish_body_bytes:
                raise _too_large(limits)
            if not message.get("more_body", False):
                return bytes(body)
    raise RequestError(ErrorCode.TIMEOUT, f"the body took longer than body_seconds={limits.body_seconds:g}")


def _check_media_type(request: Request) -> None:
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower()
    if media_type.strip().lower() != "application/json" or charset not in ("", "charset=utf-8", 'charset="utf-8"'):
        raise RequestError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE, "the body must be application/json in UTF-8", field="Content-Type"
        )
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise RequestError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed", field="Content-Encoding"
        )


def _too_large(limits: Limits) -> RequestError:
    return RequestError(ErrorCode.TOO_LARGE, f"the body exceeds publish_body_bytes={limits.publish_body_bytes}")


class Fields:
    """
    The fields of one JSON object, taken one by one; `finish` complains about what is left.

    Args:
        value: What should be an object.
        path: Where it stands, such as `events[3]`; empty for the body itself.
    """

    def __init__(self, value: Json, path: str = "") -> None:
        if not isinstance(value, dict):
            problem = f"expected an object, got {show(value, secret=True)}"
            raise RequestError(ErrorCode.MALFORMED, problem, field=path or None)
        self._values = dict(value)
        self._path = path

    def field(self, name: str) -> str:
        """The path of a field."""
        return f"{self._path}.{name}" if self._path else name

    def text(self, name: str) -> str:
        """A text that must be there."""
        value = self._take(name)
        if not isinstance(value, str):
            raise self._wrong(name, "text", show(value, secret=True))
        return value

    def optional_text(self, name: str) -> str | None:
        """A text, or None where it is missing or null."""
        if self._values.get(name) is None:
            self._values.pop(name, None)
            return None
        return self.text(name)

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        """One of some texts, or None where it is missing or null."""
        value = self._values.pop(name, None)
        if value is None or (isinstance(value, str) and value in choices):
            return value
        raise self._wrong(name, f"one of {', '.join(sorted(choices))}", show(value))

    def any(self, name: str) -> Json:
        """A value of any type that must be there."""
        return cast(Json, self._take(name))

    def items(self, name: str) -> list[Json]:
        """An array that must be there."""
        value = self._take(name)
        if not isinstance(value, list):
            raise self._wrong(name, "an array", show(value, secret=isinstance(value, str)))
        return value

    def finish(self) -> None:
        """
        Refuse fields that nobody took: a misspelt option must not be ignored.

        Raises:
            RequestError: Naming the first of them.
        """
        for name in self._values:
            raise RequestError(ErrorCode.MALFORMED, "unknown field", field=self.field(name[:100]))

    def _take(self, name: str) -> object:
        value = self._values.pop(name, _MISSING)
        if value is _MISSING:
            raise RequestError(ErrorCode.MALFORMED, "the field is missing", field=self.field(name))
        return value

    def _wrong(self, name: str, expected: str, got: str) -> RequestError:
        return RequestError(ErrorCode.MALFORMED, f"expected {expected}, got {got}", field=self.field(name))


def read_parameters(request: Request, known: Collection[str]) -> dict[str, str]:
    """
    The parameters of a query, each at most once.

    Raises:
        RequestError: If one is unknown or comes twice.
    """
    parameters: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise RequestError(ErrorCode.MALFORMED, "unknown parameter", field=name[:100] or None)
        if name in parameters:
            raise RequestError(ErrorCode.MALFORMED, "the parameter comes twice", field=name)
        parameters[name] = value
    return parameters


def as_number(text: str) -> int | str:
    """The whole number that a parameter says, of up to 18 digits; else the text, for the error to repeat."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else text


def whole_parameter(name: str, text: str, least: int, most: int | None = None, *, setting: str = "") -> int:
    """
    The whole number of a parameter.

    Args:
        name: Its name.
        text: What it says.
        least: Smallest number that it may say.
        most: Largest; None: any of up to 18 digits.
        setting: The setting that `most` comes from, if it is one.

    Raises:
        RequestError: If it says something else.
    """
    number = as_number(text)
    if isinstance(number, int) and least <= number and (most is None or number <= most):
        return number
    bound = f"of at least {least}" if most is None else f"from {least} to {setting and f'{setting}='}{most}"
    raise RequestError(ErrorCode.MALFORMED, f"expected a whole number {bound}, got {show(number)}", field=name)
