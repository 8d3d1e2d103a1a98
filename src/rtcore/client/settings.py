"""Every bound of the client, in one place, with its unit and its reason."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import frozen, validators

__all__ = ["ClientSettings"]


# Any: attrs field specifiers are typed so.
def _bound(default: float, *, above: float | None = None, at_least: float = 0) -> Any:
    check = validators.ge(at_least) if above is None else validators.gt(above)
    return attrs.field(default=default, validator=check)


@frozen(kw_only=True)
class ClientSettings:
    """How a client connects, comes back, waits and buffers."""

    connect_seconds: float = _bound(10.0, above=0)
    """From the first packet to a finished `auth`: name, TCP, TLS, handshake and `welcome` included."""
    close_seconds: float = _bound(2.0, above=0)
    """How long the closing handshake may take when the block is left; then the socket is cut."""
    backoff_seconds: float = _bound(0.5, above=0)
    """Upper end of the first wait before connecting again; each further wait may be twice as long."""
    backoff_maximum_seconds: float = _bound(30.0, above=0)
    """Longest wait before connecting again, unless the server asks for more."""
    backoff_early_seconds: float = _bound(4.0, above=0)
    """Longest wait within the first `restart_seconds`: a restarted server has its clients back in under 5 s."""
    restart_seconds: float = _bound(60.0)
    """How long after the loss of a connection `backoff_early_seconds` holds."""
    stable_seconds: float = _bound(10.0)
    """A connection that lasted so long resets the waits; a shorter one does not, or a server that accepts and fails at
    once would be hammered."""
    retry_after_maximum_seconds: float = _bound(300.0)
    """Longest `Retry-After` that is honoured; a larger one counts as this."""
    heartbeat_seconds: float = _bound(30.0, above=0)
    """Time between heartbeats where `welcome` names none."""
    silence_seconds: float = _bound(10.0, above=0)
    """How long the server may send nothing at all after a heartbeat: then it is taken for dead."""
    queue_messages: int = _bound(100, at_least=1)
    """Requests that may wait for their reply or for a connection; the next call blocks until one is answered."""
    request_share: float = attrs.field(default=0.9, validator=[validators.gt(0), validators.le(1)])
    """Share of the server's rate limit that requests use; heartbeats and subscriptions need the rest."""
    request_attempts: int = _bound(5, at_least=1)
    """How often a request is tried when the server answers with a transient error."""
    buffer_events: int = _bound(1000, at_least=1)
    """Events of one subscription that may wait for their consumer; then the socket is not read further."""
    buffer_maximum_events: int = _bound(10_000, at_least=1)
    """The same while a request of this client awaits its reply: the reply may stand behind those events, and a consumer
    that waits for it between two events would otherwise wait for ever."""
    message_bytes: int = _bound(16 * 1024 * 1024, at_least=1024)
    """Largest message from the server: a batch or a replay holds many events."""
    repairs: int = _bound(100, at_least=1)
    """Losses of one subscription that may wait to be repaired; further ones are told as lost."""
