"""The targets see what they are there to see: each is given an implementation with a fault."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from rtcore.errors import RemoteProtocolError, RequestError
from tests.fuzz.stacks import Stack, load_stacks
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


@pytest.fixture(scope="module")
def stacks() -> Sequence[Stack]:
    return load_stacks()


def with_fault(stack: Stack, module: str, **faults: object) -> Stack:
    """A stack with some names of one module replaced."""
    return evolve(stack, **{module: SimpleNamespace(**{**vars(getattr(stack, module)), **faults})})


def check(target: str, file: str, *stacks: Stack) -> None:
    TARGETS[target]((CORPUS / target / file).read_bytes(), stacks)


def losing_connection(stack: Stack) -> Stack:
    """Loses all but the first event of a piece."""

    class Losing(stack.connection_state.ConnectionState):  # type: ignore[misc, name-defined]  # of either stack
        __slots__ = ("told",)

        def feed(self, data: bytes) -> None:
            self.told = False
            super().feed(data)

        def next_event(self) -> Any:
            event = super().next_event()
            while self.told and event is not None:
                event = super().next_event()
            self.told = True
            return event

    return with_fault(stack, "connection_state", ConnectionState=Losing)


def generous_inflater(stack: Stack) -> Stack:
    """Knows no limit."""
    inflater = stack.fast.MessageInflater
    return with_fault(stack, "fast", MessageInflater=lambda bits, takeover, limit: inflater(bits, takeover, 1 << 30))


def patient_inflater(stack: Stack) -> Stack:
    """Has other words for what is wrong."""

    class Patient(stack.fast.MessageInflater):  # type: ignore[misc, name-defined]  # of either stack
        __slots__ = ()

        def feed(self, chunk: bytes) -> bytes:
            try:
                return bytes(super().feed(chunk))
            except RemoteProtocolError as error:
                raise RemoteProtocolError("no", close_code=error.close_code) from None

    return with_fault(stack, "fast", MessageInflater=Patient)


def injecting_handshake(stack: Stack) -> Stack:
    """Repeats what it was given in a line of its answer."""
    accept = stack.handshake.accept_handshake

    def repeat(head: Any, **options: Any) -> Any:
        return accept(head, **options, headers=[("X-Repeated", "a\r\n\r\nb")])

    return with_fault(stack, "handshake", accept_handshake=repeat)


def lenient_reader(stack: Stack) -> Stack:
    """Waits for lines of any length."""
    reader = stack.header_grammar.HeadReader

    def read_leniently(limits: Any) -> Any:
        return reader(evolve(limits, request_head_bytes=1 << 20, request_line_bytes=1 << 20))

    return with_fault(stack, "header_grammar", HeadReader=read_leniently)


def raising_decoder(stack: Stack) -> Stack:
    """Does not know every message."""

    def decode(message: Any, limits: Any) -> None:
        raise KeyError(message.type)

    return with_fault(stack, "command_codec", decode_command=decode)


def quiet_decoder(stack: Stack) -> Stack:
    """Takes what it should refuse."""
    return with_fault(stack, "command_codec", decode_command=lambda message, limits: None)


def talkative_decoder(stack: Stack) -> Stack:
    """Repeats the client's words in its errors."""

    def decode(message: Any, limits: Any) -> None:
        raise RequestError(stack.command_codec.ErrorCode.MALFORMED, "x" * 5000)

    return with_fault(stack, "command_codec", decode_command=decode)


@pytest.mark.parametrize(
    ("target", "file", "fault", "error", "words"),
    [
        ("frames", "fragments-and-ping", losing_connection, AssertionError, "the cuts make a difference"),
        ("cuts", "seed-0", losing_connection, AssertionError, "cut at"),
        ("inflate", "bomb", generous_inflater, AssertionError, "more comes out than the limit"),
        ("request_head", "upgrade", injecting_handshake, AssertionError, "101"),
        ("request_head", "head-long", lenient_reader, AssertionError, "more is held than a head may have"),
        ("commands", "publish", raising_decoder, KeyError, "publish"),
        ("commands", "publish", talkative_decoder, AssertionError, "an error of 5"),
    ],
)
def test_target_sees_the_fault(
    stacks: Sequence[Stack],
    target: str,
    file: str,
    fault: Callable[[Stack], Stack],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        check(target, file, fault(stacks[0]))


@pytest.mark.parametrize(
    ("target", "file", "fault"),
    [
        ("commands", "unknown-field", quiet_decoder),
        ("frames", "seventeen-pings", losing_connection),
        ("inflate", "65-final-blocks", patient_inflater),
    ],
)
def test_target_sees_that_implementations_disagree(
    stacks: Sequence[Stack], target: str, file: str, fault: Callable[[Stack], Stack]
) -> None:
    with pytest.raises(AssertionError, match="twins disagree"):
        check(target, file, stacks[0], fault(stacks[0]))


def test_stacks_are_those_that_are_there_and_leave_no_trace() -> None:
    """The rest of the process goes on with the modules that it had."""
    import rtcore._fast
    import rtcore.protocol.connection_state

    before = {name: module for name, module in sys.modules.items() if name.startswith("rtcore.")}
    stacks = load_stacks()
    assert before.items() <= sys.modules.items()
    assert rtcore._fast is sys.modules["rtcore._fast"]
    assert rtcore.protocol.connection_state is sys.modules["rtcore.protocol.connection_state"]
    both = ["pure", "compiled"] if rtcore._fast.IMPLEMENTATION == "compiled" else ["pure"]
    assert [stack.name for stack in stacks] == both
    assert len({stack.connection_state.ConnectionState for stack in stacks}) == len(both)
    assert len({stack.fast.FrameParser for stack in stacks}) == len(both)
