"""The servers that are compared, and how a client of each says the same thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

__all__ = ["MARKER", "PEERS", "Peer", "installed_version"]

MARKER = b"#@!$%&*+"
"""
Once in each published message, and nowhere else in what a server sends: counting it counts deliveries.

Its bytes are rare, none comes twice, and JSON takes them as they are: so a search skips eight bytes at a time.
"""


@dataclass(frozen=True)
class Peer:
    """One server, started by a script of its own beside this file."""

    name: str
    package: str
    """Name of its distribution, for the version."""
    script: str
    environment: Mapping[str, str] = field(default_factory=dict)
    path: str = "/"
    """Where subscribers connect."""
    publish_path: str = "/publish"
    greeting: bytes = b"subscribed"
    """In what the server sends to each new connection at `path`: then it is there."""
    subscribe: bytes | None = None
    """What a subscriber says first; None where connecting is enough."""
    subscribed: bytes = b"subscribed"
    """In the answer to `subscribe`, or in the greeting."""
    publish_greeting: bytes = b""
    """In what the server sends to a new publisher; empty: it sends nothing."""
    before: bytes = b""
    after: bytes = b""
    """What stands around the payload of a published message."""

    def publication(self, size: int) -> bytes:
        """A message of `size` bytes that has the server send its marker to every subscriber."""
        room = size - len(self.before) - len(self.after) - len(MARKER)
        return self.before + MARKER + b"x" * max(room, 0) + self.after


def _rtcore(name: str, environment: Mapping[str, str]) -> Peer:
    return Peer(
        name=name,
        package="rtcore",
        script="serve_rtcore.py",
        environment=environment,
        path="/ws",
        publish_path="/ws",
        greeting=b'"welcome"',
        subscribe=b'{"type":"subscribe","data":{"channels":["bench"]}}',
        subscribed=b'"subscribed"',
        publish_greeting=b'"welcome"',
        before=b'{"type":"publish","data":{"channel":"bench","type":"tick","data":"',
        after=b'"}}',
    )


PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        _rtcore("rtcore", {}),
        _rtcore("rtcore-pure", {"RTCORE_EXTENSIONS": "off"}),
        Peer(name="websockets", package="websockets", script="serve_websockets.py"),
        Peer(name="trio-websocket", package="trio-websocket", script="serve_trio_websocket.py"),
    )
}
"""By the name that `--peers` takes."""


def installed_version(package: str) -> str | None:
    """The version of a distribution; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
