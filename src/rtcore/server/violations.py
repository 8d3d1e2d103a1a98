"""
Who broke a limit, how often, and when it is enough.

One violation costs a client an `error` reply. `limits.violations` of them within `limits.violation_seconds` is
persistent abuse, and the connection is closed with 1008. Whatever a client does, the ledger's memory and its log lines
are bounded.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict, deque

from attrs import define, field, frozen

from rtcore.values.limits import Limits

__all__ = ["Violation", "ViolationLedger", "ViolationStatistics"]

_logger = logging.getLogger(__name__)


@frozen(kw_only=True)
class Violation:
    """One entry of the ledger."""

    client: str
    kind: str
    timestamp: float
    """In Unix seconds."""


@frozen(kw_only=True)
class ViolationStatistics:
    """A snapshot of the ledger."""

    total: int
    """Violations ever."""
    by_kind: dict[str, int]
    """Violations ever, by kind."""
    clients: int
    """Clients with violations that may still count."""
    abusive: int
    """Times that persistent abuse was told."""
    recent: tuple[Violation, ...]
    """The newest, oldest first; at most `limits.violation_entries`."""


@define(eq=False)
class ViolationLedger:
    """
    Violations by client.

    A client is whatever text its caller counts by: a connection's id, a user or an address. Of so many clients as there
    may be connections the newest violations are kept; when another comes, the one that has been quiet longest is
    forgotten.
    """

    limits: Limits
    _times: OrderedDict[str, deque[float]] = field(factory=OrderedDict, init=False)
    """Client to the times of its newest violations; the client with the newest violation last."""
    _kinds: Counter[str] = field(factory=Counter, init=False)
    _recent: deque[Violation] = field(init=False)
    _abusive: int = field(default=0, init=False)
    _next_log: float = field(default=float("-inf"), init=False)
    _unlogged: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        """Bound the list of recent violations."""
        self._recent = deque(maxlen=self.limits.violation_entries)

    def record(self, client: str, kind: str, now: float) -> bool:
        """
        Write down a violation.

        Args:
            client: Who; shown in statistics and logs, so not a secret.
            kind: What; one of a few words of the server's own, such as `rate`.
            now: The time, in Unix seconds, never less than in the call before.

        Returns:
            Whether the client has now abused persistently: `limits.violations` within `limits.violation_seconds`.
        """
        times = self._times.pop(client, None)
        if times is None:
            if len(self._times) >= self.limits.connections:
                self._times.popitem(last=False)
            times = deque(maxlen=self.limits.violations)
        self._times[client] = times
        times.append(now)
        self._kinds[kind] += 1
        self._recent.append(Violation(client=client, kind=kind, timestamp=now))
        abusive = len(times) == self.limits.violations and now - times[0] <= self.limits.violation_seconds
        self._abusive += abusive
        self._log(client, kind, now)
        return abusive

    def count(self, client: str, now: float) -> int:
        """Violations of a client within the last `limits.violation_seconds`, at most `limits.violations`."""
        oldest = now - self.limits.violation_seconds
        return sum(time >= oldest for time in self._times.get(client, ()))

    def forget(self, client: str) -> None:
        """Free what is kept of a client that is gone; its entries among the recent ones stay."""
        self._times.pop(client, None)

    def statistics(self) -> ViolationStatistics:
        """A snapshot."""
        return ViolationStatistics(
            total=self._kinds.total(),
            by_kind=dict(self._kinds),
            clients=len(self._times),
            abusive=self._abusive,
            recent=tuple(self._recent),
        )

    def _log(self, client: str, kind: str, now: float) -> None:
        if now < self._next_log:
            self._unlogged += 1
            return
        # %a: a client's name may hold line breaks and control characters, and a log line is one line.
        _logger.warning("violation of %s by %a (%d more since the last line)", kind, client, self._unlogged)
        self._unlogged = 0
        self._next_log = now + self.limits.violation_log_seconds
