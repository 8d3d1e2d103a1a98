"""The servers that are compared, and how a client of each says the same thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

__all__ = ["FLOOR", "PEERS", "Peer", "Speech", "installed_version"]

Speech = Mapping[str, str]
"""Options of the load generator that are the server's own: paths, what to say first, what a message looks like."""

FLOOR = "floor"
"""The C loop of send(2) in `load/floor.c`."""


@dataclass(frozen=True)
class Peer:
    """One server."""

    name: str
    package: str
    """Name of its distribution, for the version; empty: it is none."""
    script: str
    """The file beside this one that serves; empty: the floor, which is compiled."""
    speeches: Mapping[str, Speech]
    """By kind of test: `fanout`, `direct`, `filters`, `echo`, `idle`. It takes part in no test of another kind."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Tests that it takes no part in, and why."""
    environment: Mapping[str, str] = field(default_factory=dict)


def _simple() -> dict[str, Speech]:
    """How a server speaks that relays whatever it is told: see `serve_websockets.py`."""
    return {
        "fanout": {
            "path": "/subscribe",
            "ready": "subscribed",
            "publisher-path": "/publish",
            "message": "{M}{PAD}",
        },
        "direct": {
            "path": "/user",
            "first": "{ID}",
            "ready": "subscribed",
            "publisher-path": "/direct",
            "message": "{ID} {M}{PAD}",
        },
        "echo": {"path": "/echo"},
        "idle": {"path": "/subscribe", "ready": "subscribed"},
    }


def _subscription(channel: str, where: str = "") -> Speech:
    return {
        "path": "/ws",
        "first": '{"type":"subscribe","data":{"channels":["' + channel + '"]' + where + "}}",
        "ready": '"subscribed"',
        "publisher-path": "/ws",
        "publisher-ready": '"welcome"',
    }


def _publication(channel: str, data: str) -> str:
    return '{"type":"publish","data":{"channel":"' + channel + '","type":"tick","data":' + data + "}}"


_RTCORE: Mapping[str, Speech] = {
    "fanout": {**_subscription("bench"), "message": _publication("bench", '"{M}{PAD}"')},
    "direct": {**_subscription("user-{ID}"), "message": _publication("user-{ID}", '"{M}{PAD}"')},
    "filters": {
        **_subscription("bench", ',"where":{"shard":"{ID}"}'),
        "message": _publication("bench", '{"shard":"{ID}","text":"{M}{PAD}"}'),
    },
    "echo": {"path": "/echo"},
    "idle": {"path": "/ws", "ready": '"welcome"'},
}

_PURE_LEFT_OUT = dict.fromkeys(("open1k", "open5k", "open10k", "deflate", "channels", "slow"), "as rtcore, with less")
_NO_DEFLATE = "no compression on the server's side"
_BLOCKS = "a subscriber that reads nothing holds up all others"

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("rtcore", "rtcore", "serve_rtcore.py", _RTCORE),
        Peer("rtcore-pure", "rtcore", "serve_rtcore.py", _RTCORE, _PURE_LEFT_OUT, {"RTCORE_EXTENSIONS": "off"}),
        Peer("websockets", "websockets", "serve_websockets.py", _simple()),
        Peer(
            "trio-websocket",
            "trio-websocket",
            "serve_trio_websocket.py",
            _simple(),
            {"deflate": _NO_DEFLATE, "slow": _BLOCKS},
        ),
        Peer("picows", "picows", "serve_picows.py", _simple(), {"deflate": _NO_DEFLATE}),
        Peer("socketify", "socketify", "serve_socketify.py", _simple()),
        Peer(FLOOR, "", "", _simple(), {"deflate": _NO_DEFLATE}),
    )
}
"""By the name that `--servers` takes, in the order of the rows."""


def installed_version(peer: Peer) -> str | None:
    """Its version, empty for the floor; None if it is not installed."""
    if not peer.package:
        return ""
    try:
        return version(peer.package)
    except PackageNotFoundError:
        return None
