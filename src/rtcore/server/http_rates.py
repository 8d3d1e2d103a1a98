"""How many HTTP requests one client may make: a token bucket for each, in bounded memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from rtcore._fast import TokenBucket
from rtcore.errors import ErrorCode, RequestError
from rtcore.values.limits import Limits

__all__ = ["LedgerPort", "RequestRates"]


class LedgerPort(Protocol):
    """Where violations of the rate are counted and logged, those of WebSocket messages among them."""

    def record(self, client: str, kind: str, now: float) -> bool:
        """See `ViolationLedger.record`."""


class RequestRates:
    """
    A bucket per client, of `Limits.messages_per_second` and `Limits.message_burst`.

    At most `Limits.rate_clients` buckets are kept. The one used least recently goes first: it had the longest time to
    fill, so forgetting it forgives the least.

    Args:
        limits: Rate, burst and number of clients.
        ledger: Where violations go; None: they are only refused.
        monotonic: Any steady clock, in seconds.
        clock: Unix seconds, for the ledger.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        ledger: LedgerPort | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._limits = limits
        self._ledger = ledger
        self._monotonic = monotonic
        self._clock = clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: str) -> None:
        """
        Count one request.

        Args:
            client: Such as `user:alice` or `address:192.0.2.1`.

        Raises:
            RequestError: `limit.rate`, with the seconds to wait, if it is one too many.
        """
        now = self._monotonic()
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._admit(client, now)
        else:
            self._buckets.move_to_end(client)
        if bucket.take(now):
            return
        if self._ledger is not None:
            self._ledger.record(client, "rate", self._clock())
        raise RequestError(
            ErrorCode.RATE,
            f"more than messages_per_second={self._limits.messages_per_second:g} requests",
            retry_after=round(bucket.wait(now), 3),
        )

    def _admit(self, client: str, now: float) -> TokenBucket:
        if len(self._buckets) >= self._limits.rate_clients:
            self._buckets.popitem(last=False)
        bucket = TokenBucket(self._limits.messages_per_second, self._limits.message_burst, now)
        self._buckets[client] = bucket
        return bucket
