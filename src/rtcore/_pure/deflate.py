"""
Messages under permessage-deflate, one by one.

Outbound frames are shared by every connection that wants the same, so no message may refer to an older one. A new
compressor for each message would guarantee that, but its quarter of a megabyte costs more than the work; instead one
compressor serves all, and a full flush after each message makes it forget. The flush ends in an empty stored block of
which the last four bytes, 00 00 ff ff, are not sent.

igzip (from `isal`) compresses where it is installed: at the sizes of events it takes half to a quarter of zlib's time
for the same result (`bench/deflate_libraries.py`). zlib serves where it is not, and for the levels that igzip has no
match for.

Inbound it is always zlib, the more trusted of the two with a stranger's bytes. Memory grows with the output that was
really produced, never with what the input promises: zlib is asked for one byte more than the message may still have,
and a message that has it is refused there and then. Between messages an inflater holds the window alone (nothing
without context takeover), not the 40 KiB of a zlib stream.

Source: RFC 7692, section 7.2; RFC 1951.
"""

from __future__ import annotations

import zlib
from typing import Any

from rtcore.errors import RemoteProtocolError

try:
    from isal import isal_zlib as _igzip
except ModuleNotFoundError:  # not every platform has it: see the dependencies in pyproject.toml
    _igzip = None  # type: ignore[assignment]  # a module that may be absent

__all__ = ["MessageDeflater", "MessageInflater"]

_TAIL = b"\x00\x00\xff\xff"
"""What the sender leaves off. Source: RFC 7692, section 7.2.1."""
_FINAL_BLOCK = b"\x01\x00\x00\xff\xff"
"""An empty stored block with BFINAL set: a stream that ends here was not cut inside a block."""
_FINAL_BLOCKS = 64
"""Final blocks in one message: each costs a new stream and a copy of the rest; a peer has no use for more than one."""
_IGZIP_LEVEL = 1
"""igzip's 0 gives up half of the gain, its 2 and 3 add no percent below 4 KiB."""
_EMPTY_MESSAGE = b"\x00"
"""Source: RFC 7692, section 7.2.3.6. A second flush in a row would give zlib nothing to say."""


class MessageDeflater:
    """
    Compresses whole messages, each readable by itself (`no_context_takeover`).

    One deflater (about 256 KiB) serves any number of connections that agreed on the same window, from one thread.

    Args:
        window_bits: Logarithm of the window, 8 to 15.
        level: 0 stores, 9 makes the smallest, -1 chooses; 1 to 6 are the same where igzip compresses.

    Raises:
        ValueError: If `window_bits` or `level` is outside its range.
    """

    __slots__ = ("_compressor", "_level", "_window_bits", "bytes_in", "bytes_out")

    bytes_in: int
    """Bytes of messages given."""
    bytes_out: int
    """Bytes of payload returned."""

    def __init__(self, window_bits: int = 15, level: int = -1) -> None:
        if not 8 <= window_bits <= 15:
            raise ValueError(f"window_bits must be 8 to 15, got {window_bits}")
        if not -1 <= level <= 9:
            raise ValueError(f"level must be -1 to 9, got {level}")
        self._window_bits = window_bits
        self._level = level
        self._compressor = _new_compressor(window_bits, level)
        self.bytes_in = 0
        self.bytes_out = 0

    def compress(self, data: bytes) -> bytes:
        """
        Compress one message.

        Args:
            data: The message, n >= 0 bytes.

        Returns:
            The payload of its frame, at least 1 byte; it may be longer than `data`.
        """
        if not data:
            payload = _EMPTY_MESSAGE
        else:
            try:
                payload = (self._compressor.compress(data) + self._compressor.flush(zlib.Z_FULL_FLUSH))[:-4]
            except BaseException:
                # What was begun must not come out with the next message, not even after a KeyboardInterrupt.
                self._compressor = _new_compressor(self._window_bits, self._level)
                raise
        self.bytes_in += len(data)
        self.bytes_out += len(payload)
        return payload


class MessageInflater:
    """
    Inflates one message after another, in pieces as they come.

    Args:
        window_bits: Logarithm of the window that the peer may refer back to, 8 to 15.
        context_takeover: Whether a message may refer to the ones before it.
        maximum_bytes: Largest message, inflated, in bytes.

    Raises:
        ValueError: If `window_bits` is outside 8 to 15 or `maximum_bytes` is negative.
    """

    __slots__ = (
        "_context_takeover",
        "_fed",
        "_final_blocks",
        "_left",
        "_maximum_bytes",
        "_recent",
        "_stream",
        "_window_bits",
        "bytes_in",
        "bytes_out",
    )

    bytes_in: int
    """Bytes of payload given."""
    bytes_out: int
    """Bytes of messages returned."""

    def __init__(self, window_bits: int, context_takeover: bool, maximum_bytes: int) -> None:
        if not 8 <= window_bits <= 15:
            raise ValueError(f"window_bits must be 8 to 15, got {window_bits}")
        if maximum_bytes < 0:
            raise ValueError(f"maximum_bytes must be at least 0, got {maximum_bytes}")
        self._window_bits = window_bits
        self._context_takeover = bool(context_takeover)
        self._maximum_bytes = maximum_bytes
        self._recent = b""
        self.bytes_in = 0
        self.bytes_out = 0
        self._begin()

    def feed(self, chunk: bytes) -> bytes:
        """
        Inflate the next piece of a message.

        Args:
            chunk: Payload bytes, cut anywhere.

        Returns:
            What of the message can be told by now.

        Raises:
            RemoteProtocolError: With 1009 as soon as the message is longer than `maximum_bytes`; with 1007 if it is not
                deflate data, or has more than 64 final blocks. The inflater is of no more use then.
        """
        if not chunk:
            return b""
        self._fed = True
        self.bytes_in += len(chunk)
        return self._inflate(chunk)

    def finish(self) -> bytes:
        """
        End the message and be ready for the next.

        Returns:
            The rest of it.

        Raises:
            RemoteProtocolError: As `feed`; with 1007 also if the message stops inside a block.
        """
        if not self._fed:
            # zlib says nothing when flushed twice in a row, so its users send an empty message without any payload.
            return b""
        rest = self._inflate(_TAIL + _FINAL_BLOCK)
        if self._stream is None or not self._stream.eof:
            raise RemoteProtocolError("compressed message ends inside a block", close_code=1007)
        self._begin()
        return rest

    def _begin(self) -> None:
        """Forget the message, and with it the stream; the window stays where the peer may refer to it."""
        self._stream: zlib._Decompress | None = None
        self._fed = False
        self._final_blocks = 0
        self._left = self._maximum_bytes
        if not self._context_takeover:
            self._recent = b""

    def _inflate(self, chunk: bytes) -> bytes:
        stream = self._stream or self._new_stream()
        output = self._inflate_with(stream, chunk)
        while stream.eof and stream.unused_data:
            # A final block may stand anywhere in a message, and what follows may refer to what went before.
            self._final_blocks += 1
            if self._final_blocks > _FINAL_BLOCKS:
                raise RemoteProtocolError(f"compressed message has over {_FINAL_BLOCKS} final blocks", close_code=1007)
            chunk = stream.unused_data
            stream = self._new_stream()
            output += self._inflate_with(stream, chunk)
        self._stream = stream
        return output

    def _inflate_with(self, stream: zlib._Decompress, chunk: bytes) -> bytes:
        try:
            # A limit of 0 would mean none at all to zlib; one byte over ours is how an excess is seen.
            output = stream.decompress(chunk, self._left + 1)
        except zlib.error as error:
            raise RemoteProtocolError(f"message is not valid deflate data: {error}", close_code=1007) from error
        if len(output) > self._left:
            raise RemoteProtocolError(f"compressed message exceeds message_bytes={self._maximum_bytes}",
            close_code=1009)
        self._left -= len(output)
        self.bytes_out += len(output)
        self._recent = (self._recent + output if self._recent else output)[-(1 << self._window_bits) :]
        return output

    def _new_stream(self) -> zlib._Decompress:
        if self._recent:
            return zlib.decompressobj(-self._window_bits, self._recent)
        return zlib.decompressobj(-self._window_bits)


def _new_compressor(window_bits: int, level: int) -> Any:  # Any: zlib's and igzip's compressors share no type
    if _igzip is not None and level != 0 and level <= 6 and window_bits > 8:
        return _igzip.compressobj(_IGZIP_LEVEL, zlib.DEFLATED, -window_bits)
    # zlib has no raw deflate of 8 bits; at 9 its longest distance is 512 - 262, within a window of 256 bytes.
    return zlib.compressobj(level, zlib.DEFLATED, -max(window_bits, 9))
