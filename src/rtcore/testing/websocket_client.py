"""A WebSocket client for tests: strict about the server, and free to misbehave itself."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import trio
from attrs import define, field

from rtcore.errors import ConnectionClosed, HandshakeRefused
from rtcore.protocol.handshake import accept_key
from rtcore.testing.client_frames import Frame, FrameReader, MessageJoiner, mask_frame
from rtcore.values.opcodes import CloseCode, Opcode

__all__ = ["TestClient"]

_KEY: Final = b64encode(b"a test's own key").decode()
_RECEIVE_BYTES: Final = 64 * 1024


@define(eq=False)
class TestClient:
    """
    A client over any stream: `TestServer.connect` makes one, or wrap a socket's and call `handshake`.

    It reads only while a test receives, so a test that receives nothing is a slow consumer. Pings are answered while it
    reads, unless `answers_pings` is off. What a server must not send is an `AssertionError`; a wait that takes longer
    than `timeout` seconds of Trio's clock is a `trio.TooSlowError`.
    """

    __test__ = False  # pytest would take it for a class of tests

    stream: trio.abc.Stream
    """The raw connection; on `open_test_server` a `CloggedStream`, whose faults the server then sees."""
    timeout: float = 60.0
    """Longest wait of one call for the server, in seconds."""
    answers_pings: bool = True
    headers: dict[str, str] = field(factory=dict, init=False)
    """The handshake's response, names in lower case."""
    subprotocol: str | None = field(default=None, init=False)
    welcome: dict[str, Any] = field(factory=dict, init=False)
    """Data of the greeting; empty where the endpoint sends none."""
    closed: ConnectionClosed | None = field(default=None, init=False)
    """The server's close frame; 1006 where the stream ended without one. None while it is open."""
    _frames: deque[Frame] = field(factory=deque, init=False)
    _messages: deque[str | bytes] = field(factory=deque, init=False)
    _reader: FrameReader = field(factory=FrameReader, init=False)
    _joiner: MessageJoiner = field(factory=MessageJoiner, init=False)
    _close_sent: bool = field(default=False, init=False)
    _identifier: int = field(default=0, init=False)
    _deflates: bool = field(default=False, init=False)

    # Handshake

    async def handshake(
        self,
        path: str = "/ws",
        *,
        headers: Mapping[str, str] | None = None,
        subprotocols: Sequence[str] = ("rtcore.v1",),
        compression: bool | str = False,
    ) -> None:
        """
        Upgrade the stream; with `rtcore.v1`, take the greeting too.

        Args:
            path: Target of the request.
            headers: More headers, or others in place of its own.
            subprotocols: What is offered.
            compression: Whether permessage-deflate is offered; text: the offer itself, parameters included.

        Raises:
            HandshakeRefused: With the response's status, headers and body, if the server does not upgrade.
        """
        asked = {
            "Host": "localhost",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": _KEY,
            "Sec-WebSocket-Version": "13",
        }
        if subprotocols:
            asked["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
        if compression:
            asked["Sec-WebSocket-Extensions"] = compression if isinstance(compression, str) else "permessage-deflate"
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in (asked | dict(headers or {})).items())]
        with self._patience():
            await self.stream.send_all(("\r\n".join(lines) + "\r\n\r\n").encode())
            status, rest = await self._response()
            if status != 101:
                await self._raise_refusal(status, rest)
        self._agree(subprotocols, bool(compression))
        self._take(rest)
        if self.subprotocol == "rtcore.v1":
            self.welcome = (await self.expect("welcome"))["data"]

    async def _response(self) -> tuple[int, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            more = await self.stream.receive_some(_RECEIVE_BYTES)
            if not more:
                raise ConnectionClosed(CloseCode.ABNORMAL, f"no whole response, only {bytes(data)!r}")
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return int(first.split(" ")[1]), rest

    async def _raise_refusal(self, status: int, body: bytes) -> None:
        while len(body) < int(self.headers.get("content-length", 0)):
            more = await self.stream.receive_some(_RECEIVE_BYTES)
            assert more, f"the body ends after {len(body)} bytes"
            body += more
        await trio.aclose_forcefully(self.stream)
        raise HandshakeRefused(status, body.decode(), headers=tuple(self.headers.items()))

    def _agree(self, subprotocols: Sequence[str], offered: bool) -> None:
        headers = self.headers
        assert headers.get("upgrade", "").lower() == "websocket"
        assert headers.get("connection", "").lower() == "upgrade"
        assert headers.get("sec-websocket-accept") == accept_key(_KEY)
        self.subprotocol = headers.get("sec-websocket-protocol")
        assert self.subprotocol is None or self.subprotocol in subprotocols
        agreed = headers.get("sec-websocket-extensions")
        if agreed is None:
            return
        assert offered, f"an extension that nobody offered: {agreed}"
        name, *parameters = (part.strip() for part in agreed.split(";"))
        assert name == "permessage-deflate"
        values = dict(part.partition("=")[::2] for part in parameters)
        self._deflates = True
        self._reader = FrameReader(compression=True)
        self._joiner = MessageJoiner(
            window_bits=int(values.get("server_max_window_bits", 15)),
            context_takeover="server_no_context_takeover" not in values,
        )

    # Sending

    async def send(self, type: str, data: object = None, *, id: int | str | None = None) -> None:
        """Send an `rtcore.v1` message; its data is an empty object where none is given."""
        message = {"type": type, "data": {} if data is None else data}
        await self.send_json(message if id is None else {**message, "id": id})

    async def request(self, type: str, data: object = None) -> dict[str, Any]:
        """Send a message with a new id and return its reply, an `error` too; messages before it are kept for later."""
        self._identifier += 1
        await self.send(type, data, id=self._identifier)
        passed: list[str | bytes] = []
        while True:
            message = await self.receive_message()
            reply = json.loads(message)
            if reply.get("id") == self._identifier:
                self._messages.extendleft(reversed(passed))
                assert isinstance(reply, dict)
                return reply
            passed.append(message)

    async def send_json(self, value: object) -> None:
        """Send any JSON value as a text message."""
        await self.send_text(json.dumps(value))

    async def send_text(self, text: str, *, compress: bool = False) -> None:
        """Send a text message."""
        await self._send_message(Opcode.TEXT, text.encode(), compress)

    async def send_binary(self, data: bytes, *, compress: bool = False) -> None:
        """Send a binary message."""
        await self._send_message(Opcode.BINARY, data, compress)

    async def _send_message(self, opcode: Opcode, payload: bytes, compress: bool) -> None:
        if compress:
            assert self._deflates, "compression was not agreed on"
            deflater = zlib.compressobj(wbits=-15)
            payload = (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
        await self.send_raw(mask_frame(opcode, payload, rsv=4 if compress else 0))

    async def send_frame(self, opcode: int, payload: bytes = b"", *, fin: bool = True) -> None:
        """Send one frame: a ping, a fragment."""
        await self.send_raw(mask_frame(opcode, payload, fin=fin))

    async def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        with self._patience():
            await self.stream.send_all(data)

    # Receiving

    async def receive_frame(self) -> Frame:
        """
        The next frame of any kind; do not mix with the calls for messages.

        Raises:
            ConnectionClosed: If the stream ended; the close frame itself is given out first.
        """
        with self._patience():
            while not self._frames:
                await self._read()
            return self._frames.popleft()

    async def receive_message(self) -> str | bytes:
        """
        The next text or binary message; pings and pongs are passed over.

        Raises:
            ConnectionClosed: If the connection has ended; with 1006 where no close frame came.
        """
        with self._patience():
            return await self._next_message()

    async def _next_message(self) -> str | bytes:
        while not self._messages:
            while not self._frames:
                await self._read()
            frame = self._frames.popleft()
            if frame.opcode is Opcode.CLOSE:
                assert self.closed is not None
                raise self.closed
            if not frame.control and (message := self._joiner.add(frame)) is not None:
                self._messages.append(message)
        return self._messages.popleft()

    async def receive(self) -> dict[str, Any]:
        """The next message, from JSON."""
        message: dict[str, Any] = json.loads(await self.receive_message())
        return message

    async def expect(self, type: str) -> dict[str, Any]:
        """The next message, which must be of this type."""
        message = await self.receive()
        assert message["type"] == type, f"expected {type}, got {message}"
        return message

    async def receive_events(self, count: int) -> list[dict[str, Any]]:
        """The next events, so many, those in batches one by one; any other message is an `AssertionError`."""
        events: list[dict[str, Any]] = []
        while len(events) < count:
            message = await self.receive()
            found = message["data"]["events"] if message["type"] == "batch" else [message]
            assert all("position" in event for event in found), f"expected an event, got {message}"
            events += found
        assert len(events) == count, f"the last batch had {len(events) - count} events more than were asked for"
        return events

    async def receive_nothing(self, seconds: float = 1.0) -> None:
        """Wait so long, answering pings; a message or the end of the connection is an `AssertionError`."""
        with trio.move_on_after(seconds):
            try:
                message = await self._next_message()
            except ConnectionClosed as closed:
                raise AssertionError(f"expected nothing, got {closed}") from closed
            raise AssertionError(f"expected nothing, got {message!r}")

    async def receive_close(self) -> ConnectionClosed:
        """
        Read on until the connection has ended, throwing messages away; answer the close frame and close the stream.

        Returns:
            Code and reason; 1006 where the stream ended without a close frame.
        """
        with self._patience():
            try:
                while True:
                    await self.receive_message()
            except ConnectionClosed as closed:
                await self._answer_close()
                await self._read_to_end()
                return closed

    # Ending

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> ConnectionClosed:
        """Say good-bye, and return the server's answer."""
        if not self._close_sent:
            self._close_sent = True
            await self.send_frame(Opcode.CLOSE, code.to_bytes(2, "big") + reason.encode())
        return await self.receive_close()

    async def half_close(self) -> None:
        """End this side's stream without a word, and go on reading."""
        assert isinstance(self.stream, trio.abc.HalfCloseableStream), "this stream has no halves"
        await self.stream.send_eof()

    async def aclose(self) -> None:
        """Leave without a word."""
        await trio.aclose_forcefully(self.stream)

    # Reading

    def _patience(self) -> AbstractContextManager[object]:
        return trio.fail_after(self.timeout)

    async def _read(self) -> None:
        if self.closed is not None:
            raise self.closed
        try:
            data = await self.stream.receive_some(_RECEIVE_BYTES)
        except trio.BrokenResourceError as error:
            self.closed = ConnectionClosed(CloseCode.ABNORMAL, "the stream broke")
            raise self.closed from error
        if not data:
            self._reader.end()
            self.closed = ConnectionClosed(CloseCode.ABNORMAL, "the stream ended without a close frame")
            raise self.closed
        for frame in self._take(bytes(data)):
            if frame.opcode is Opcode.PING and self.answers_pings and not self._close_sent:
                await self.stream.send_all(mask_frame(Opcode.PONG, frame.payload))

    def _take(self, data: bytes) -> list[Frame]:
        frames = self._reader.feed(data)
        self._frames += frames
        if frames and frames[-1].opcode is Opcode.CLOSE:
            payload = frames[-1].payload
            code = int.from_bytes(payload[:2], "big") if payload else CloseCode.NO_STATUS
            self.closed = ConnectionClosed(code, payload[2:].decode())
        return frames

    async def _answer_close(self) -> None:
        if self._close_sent or self.closed is None or self.closed.code == CloseCode.ABNORMAL:
            return
        self._close_sent = True
        code = b"" if self.closed.code == CloseCode.NO_STATUS else self.closed.code.to_bytes(2, "big")
        try:
            await self.stream.send_all(mask_frame(Opcode.CLOSE, code))
        except trio.BrokenResourceError:
            return  # it did not wait for the answer

    async def _read_to_end(self) -> None:
        """After the close frame the server ends its side first. Source: RFC 6455, section 7.1.1."""
        try:
            while data := await self.stream.receive_some(_RECEIVE_BYTES):
                self._reader.feed(bytes(data))
        except trio.BrokenResourceError:
            pass  # cut instead: the server had no more patience
        await trio.aclose_forcefully(self.stream)
