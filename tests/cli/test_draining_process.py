"""`rtcore serve` between its signal and its end."""

from __future__ import annotations

import http.client
import signal
import socket
from typing import Any

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def readiness(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    finally:
        connection.close()


def test_serve_says_that_it_is_not_ready_until_a_second_signal_ends_it(server: Any) -> None:
    """The client that is there does not answer its close frame, so only the second signal ends the drain soon."""
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as deaf:
        deaf.sendall(HANDSHAKE)
        assert deaf.recv(12) == b"HTTP/1.1 101"
        assert readiness(port) == 200
        server.command.process.send_signal(signal.SIGTERM)
        while readiness(port) == 200:
            pass  # the signal is on its way
        assert readiness(port) == 503
        assert server.command.end(signal.SIGTERM) == 130
