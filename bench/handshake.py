"""
What an opening handshake costs: from the bytes of a whole request head to the upgrade, without any I/O.

Run: python bench/handshake.py (RTCORE_EXTENSIONS=off measures the Python twins)
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

from rtcore._fast import IMPLEMENTATION
from rtcore.protocol.header_grammar import HeadReader, parse_request_head
from rtcore.server.admission import ConnectionPool
from rtcore.server.ending import Ending
from rtcore.server.incoming import Peer
from rtcore.server.origins import OriginPolicy
from rtcore.server.profiles import Profile
from rtcore.server.proxies import ProxyTrust
from rtcore.server.reception import Reception, Upgrade
from rtcore.server.settings import Settings
from rtcore.values.identity import ANONYMOUS
from rtcore.values.limits import Limits

MINIMAL = (
    b"GET /ws HTTP/1.1\r\n"
    b"Host: 127.0.0.1:8080\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)
BROWSER = (
    b"GET /ws?page=1 HTTP/1.1\r\n"
    b"Host: 127.0.0.1:8080\r\n"
    b"Connection: Upgrade\r\n"
    b"Pragma: no-cache\r\n"
    b"Cache-Control: no-cache\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 "
    b"Safari/537.36\r\n"
    b"Upgrade: websocket\r\n"
    b"Origin: http://127.0.0.1:8080\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Accept-Language: en-GB,en-US;q=0.9,en;q=0.8\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
HEADS = {"minimal, 5 headers": MINIMAL, "browser, 12 headers": BROWSER}


def reception(pool: ConnectionPool) -> Reception:
    """One as a server makes it, on a port that nobody needs a token for."""
    settings = Settings()
    return Reception(
        settings,
        profiles={"/ws": Profile(path="/ws", subprotocols=("rtcore.v1",))},
        pool=pool,
        ending=Ending(),
        origins=OriginPolicy.of(settings),
        proxies=ProxyTrust(settings.trusted_proxies),
        authenticator=None,
        anonymous=ANONYMOUS,
    )


def calls(head: bytes) -> dict[str, Callable[[], object]]:
    """The parts of a handshake, and the whole."""
    limits = Limits()
    pool = ConnectionPool(limits)
    receiving = reception(pool)
    peer = Peer(client=("127.0.0.1", 40000), secure=False)

    def decide() -> None:
        wanted = receiving.decide(peer, head, b"")
        assert isinstance(wanted, Upgrade)
        pool.release(wanted.address)

    return {
        "HeadReader, in one piece": lambda: HeadReader(limits).feed(head),
        "parse_request_head": lambda: parse_request_head(head, limits),
        "the whole decision": decide,
    }


def measure(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median and spread (half the distance between the quartiles), in microseconds a call."""
    rounds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in range(500):
            call()
        rounds.append((time.perf_counter() - begin) / 500 * 1e6)
    low, middle, high = statistics.quantiles(rounds, n=4)
    return middle, (high - low) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=25)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, {IMPLEMENTATION}; microseconds (+- spread)")
    print("| head | part | us |")
    print("|---|---|---|")
    for name, head in HEADS.items():
        for part, call in calls(head).items():
            middle, spread = measure(call, options.repeats)
            print(f"| {name} | {part} | {middle:.2f} +-{spread:.2f} |")


if __name__ == "__main__":
    main()
