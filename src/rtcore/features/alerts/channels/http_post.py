"""
One HTTP request to an address that was checked.

httpcore does the protocol. It follows no redirect, reads no proxy from the environment, keeps no cookie and unpacks
nothing, so there is nothing of that to switch off; and its network backend is where the checked address comes in. TLS
is verified against the name, not the address. A connection serves one request, and is closed when the status has come:
nothing of an answer's body is waited for, whatever its length.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import httpcore
import trio

from rtcore.errors import DeliveryFailed
from rtcore.features.alerts.channels.addresses import AddressPolicy
from rtcore.values.version import VERSION

__all__ = ["HttpPoster"]

_LATER: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Answers after which the same request may be taken; all others that are no success are for good."""
_FAULTS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (httpcore.ConnectTimeout, "connecting took too long"),
    (httpcore.TimeoutException, "the answer took too long"),
    (httpcore.ConnectError, "cannot connect"),
    (httpcore.NetworkError, "the connection broke"),
    (httpcore.RemoteProtocolError, "the answer is not HTTP"),
)
"""In words of ours: theirs may hold the address with its secrets."""


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to the checked addresses of a name, one after the other."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._network = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # as httpcore has it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that takes one."""
        failure: Exception = httpcore.ConnectError()
        for address in await self._policy.addresses(host.strip("[]"), port):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class HttpPoster:
    """
    Sends requests.

    Args:
        policy: Where they may go.
        seconds: From looking up the name to the end of the answer.
        ca_file: PEM file with the authorities that are trusted instead of the system's; None: the system's.
    """

    def __init__(self, policy: AddressPolicy, *, seconds: float, ca_file: str | None = None) -> None:
        self._network = _CheckedNetwork(policy)
        self._seconds = seconds
        self._ca_file = ca_file
        self._tls: ssl.SSLContext | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """
        Send one request; returns when it was answered with success.

        A checkpoint. Cancelled, the other side may or may not have taken it.

        Raises:
            DeliveryFailed: It was not; whether for good is in the error.
        """
        try:
            with trio.fail_after(self._seconds):
                await self._post(url, headers, body)
        except trio.TooSlowError:
            raise DeliveryFailed(f"no answer within {self._seconds:g} s", transient=True) from None
        except httpcore.LocalProtocolError:  # its text may hold a header's value
            raise DeliveryFailed("the request cannot be written as HTTP", transient=False) from None
        except tuple(kind for kind, _ in _FAULTS) as error:
            words = next(words for kind, words in _FAULTS if isinstance(error, kind))
            raise DeliveryFailed(words, transient=True) from None

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        fields = {"User-Agent": f"rtcore/{VERSION}", "Content-Length": str(len(body)), **headers}
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=self._tls_context(), max_keepalive_connections=0, network_backend=self._network
            ) as pool,
            pool.stream(b"POST", url, headers=list(fields.items()), content=body) as response,
        ):
            status = response.status
            retry_after = _retry_after(response.headers)
        if 200 <= status < 300:
            return
        raise DeliveryFailed(f"answered with HTTP status {status}", transient=status in _LATER, retry_after=retry_after)

    def _tls_context(self) -> ssl.SSLContext:
        """Made once, and not before it is needed: reading the authorities takes some 20 ms."""
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=self._ca_file)
        return self._tls


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    """Seconds that a `Retry-After` asks for. Source: RFC 9110, section 10.2.3."""
    text = next((value.decode("latin-1").strip() for name, value in headers if name.lower() == b"retry-after"), None)
    if text is None:
        return None
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for numbers that are no year or zone of any clock
        return None
    return max(0.0, moment.timestamp() - time.time()) if moment.tzinfo is not None else None
