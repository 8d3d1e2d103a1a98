"""Sockets on one epoll set: what comes reaches its owner, and nobody else, whatever numbers the system gives out."""

from __future__ import annotations

import errno
import os
import random
import resource
import select
import socket
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="epoll is Linux's")

LoadTwin = Callable[[str], ModuleType]


@pytest.fixture
def module(load_twin: LoadTwin) -> ModuleType:
    return load_twin("socket_table")


class Owner:
    """Writes down what it is told, and may act on it."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.then: Callable[[], object] = lambda: None

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)
        self.then()

    def eof_received(self) -> None:
        self.heard.append("eof")
        self.then()

    def lost(self, error: OSError) -> None:
        self.heard.append(("lost", error.errno))

    def sendable(self) -> None:
        self.heard.append("sendable")
        self.then()

    def failed(self, error: Exception) -> None:
        self.heard.append(("failed", str(error)))


PEERS: list[socket.socket] = []
"""The other ends of a test's sockets, closed after it."""


@pytest.fixture
def table(load_twin: LoadTwin) -> Iterator[Any]:
    made = load_twin("socket_table").SocketTable()
    yield made
    made.close()
    while PEERS:
        PEERS.pop().close()


def connect(table: Any) -> tuple[Any, Owner, socket.socket]:
    """A slot, its owner, and the peer's end."""
    ours, theirs = socket.socketpair()
    PEERS.append(theirs)
    owner = Owner()
    return table.add(ours.detach(), owner), owner, theirs


def test_data_reaches_its_owner_and_only_when_polled(table: Any) -> None:
    slot, owner, theirs = connect(table)
    _, other, others = connect(table)
    theirs.send(b"hello")
    assert owner.heard == []
    assert table.poll() == 1
    assert (owner.heard, other.heard) == ([b"hello"], [])
    assert table.poll() == 0
    assert (table.reads, table.bytes_received, len(table)) == (1, 5, 2)
    assert slot.descriptor >= 0
    assert others.fileno() >= 0


def test_a_read_takes_64_kib_at_most_so_that_others_have_their_turn(table: Any) -> None:
    _, owner, theirs = connect(table)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    sent = theirs.send(bytes(150_000), socket.MSG_DONTWAIT)
    while sum(map(len, owner.heard)) < sent:
        assert table.poll() == 1
    assert max(map(len, owner.heard)) <= 65536


def test_the_end_of_the_stream_is_told_once(table: Any) -> None:
    slot, owner, theirs = connect(table)
    theirs.send(b"last")
    theirs.close()
    for _ in range(5):
        table.poll()
    assert owner.heard == [b"last", "eof"]
    assert not slot.reading


def test_a_reset_is_told_once(table: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    owner = Owner()
    table.add(ours.detach(), owner)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    for _ in range(5):
        table.poll()
    assert owner.heard == [("lost", errno.ECONNRESET)]


def test_reading_can_be_put_off(table: Any) -> None:
    """A client that does not read its replies is not read from; and a hang-up must not keep the set awake meanwhile."""
    slot, owner, theirs = connect(table)
    slot.watch_reading(False)
    theirs.send(b"wait")
    theirs.close()
    assert table.poll() == 0
    slot.watch_reading(True)
    slot.watch_reading(True)
    table.poll()
    assert owner.heard == [b"wait"]


def test_room_is_told_while_it_is_watched_for(table: Any) -> None:
    slot, owner, _ = connect(table)
    assert table.poll() == 0
    slot.watch_writing(True)
    table.poll()
    table.poll()
    slot.watch_writing(False)
    table.poll()
    assert owner.heard == ["sendable", "sendable"]


def test_a_refused_write_takes_what_fits_and_room_comes_back(table: Any) -> None:
    slot, owner, theirs = connect(table)
    data = bytes(1 << 22)
    sent = slot.send(data)
    assert 0 < sent < len(data)
    assert slot.send(data) == 0
    slot.watch_writing(True)
    assert table.poll() == 0
    while sent > 0:
        sent -= len(theirs.recv(1 << 20))
    assert table.poll() == 1
    assert owner.heard == ["sendable"]


def test_writing_to_a_peer_that_is_gone_raises(table: Any) -> None:
    slot, _, theirs = connect(table)
    theirs.close()
    with pytest.raises(OSError, match=r"Broken pipe"):
        slot.send(b"x")


@pytest.mark.parametrize("data", [b"bytes", memoryview(b"view"), b""])
def test_what_is_sent_arrives(table: Any, data: bytes | memoryview) -> None:
    slot, _, theirs = connect(table)
    assert slot.send(data) == len(data)
    slot.shut_down()
    assert theirs.recv(100) == bytes(data)
    assert len(data) == 0 or theirs.recv(100) == b""


def test_a_closed_slot_refuses_every_use(table: Any) -> None:
    slot, _, theirs = connect(table)
    slot.close()
    slot.close()
    assert (slot.descriptor, slot.detach(), len(table)) == (-1, -1, 0)
    slot.watch_reading(True)
    slot.watch_writing(True)
    for use in (lambda: slot.send(b"x"), slot.shut_down):
        with pytest.raises(OSError, match=r"Bad file descriptor"):
            use()
    assert theirs.recv(1) == b""


def test_a_detached_descriptor_is_its_takers(table: Any) -> None:
    slot, owner, theirs = connect(table)
    with socket.socket(fileno=slot.detach()) as taken:
        theirs.send(b"for the taker")
        assert table.poll() == 0
        assert taken.recv(100) == b"for the taker"
    assert owner.heard == []


def test_an_event_of_a_closed_socket_never_reaches_the_next_of_its_number(table: Any) -> None:
    """Both are reported by one poll; the first closes the second, whose number a new socket gets at once."""
    one, two = connect(table), connect(table)
    late = Owner()
    newcomers: list[socket.socket] = []

    def replace(victim: Any) -> Callable[[], None]:
        def act() -> None:
            number = victim.descriptor
            if number < 0:
                return
            victim.close()
            ours, theirs = socket.socketpair()
            PEERS.append(theirs)
            newcomers.append(theirs)
            taken = ours.detach()  # as a rule the system gives the lowest free number, which is this very one
            if taken != number:
                os.dup2(taken, number)
                os.close(taken)
            table.add(number, late)

        return act

    one[1].then, two[1].then = replace(two[0]), replace(one[0])
    one[2].send(b"1")
    two[2].send(b"2")
    table.poll()
    assert sorted(map(len, (one[1].heard, two[1].heard))) == [0, 1], "one was served, and the other was gone"
    assert late.heard == []
    newcomers[0].send(b"mine")
    table.poll()
    assert late.heard == [b"mine"]


def test_one_owners_fault_does_not_stop_the_others(table: Any) -> None:
    talks = [connect(table) for _ in range(3)]

    def fail() -> None:
        raise RuntimeError("a fault")

    talks[1][1].then = fail
    for _, _, theirs in talks:
        theirs.send(b"x")
    assert table.poll() == 3
    assert [owner.heard for _, owner, _ in talks] == [[b"x"], [b"x", ("failed", "a fault")], [b"x"]]


def test_an_owner_that_cannot_even_fail_is_closed(table: Any) -> None:
    """It would be served, and fail, for ever: readiness is reported as long as nobody reads."""
    slot, owner, theirs = connect(table)
    _, other, others = connect(table)

    def fail(error: Exception | None = None) -> None:
        raise RuntimeError("again")

    owner.then = fail
    owner.failed = fail  # type: ignore[method-assign]  # a fault of the owner's
    theirs.send(b"x")
    others.send(b"y")
    with pytest.raises(RuntimeError, match="again"):
        table.poll()
    table.poll()
    assert (slot.descriptor, other.heard) == (-1, [b"y"])


def test_an_owner_may_close_its_own_socket_or_hand_it_on(table: Any) -> None:
    slot, owner, theirs = connect(table)
    heir = Owner()

    def hand_on() -> None:
        slot.owner = heir

    owner.then, heir.then = hand_on, slot.close
    theirs.send(b"1")
    table.poll()
    theirs.send(b"2")
    table.poll()
    assert (owner.heard, heir.heard, slot.descriptor) == ([b"1"], [b"2"], -1)


def test_closing_the_table_closes_its_sockets(load_twin: LoadTwin) -> None:
    table = load_twin("socket_table").SocketTable()
    _, _, theirs = connect(table)
    table.close()
    table.close()
    assert theirs.recv(1) == b""
    assert table.fileno() == -1
    with pytest.raises(ValueError, match="closed"):
        table.poll()
    theirs.close()


def test_a_descriptor_that_cannot_be_polled_stays_the_callers(table: Any) -> None:
    with open(os.devnull, "rb") as file:
        with pytest.raises(PermissionError):
            table.add(file.fileno(), Owner())
        assert len(table) == 0
        assert file.read() == b""


@pytest.mark.parametrize("seed", range(10))
def test_random_lives_of_many_sockets(table: Any, seed: int) -> None:
    """Opening, talking, closing in any order: each owner hears exactly what its peer said."""
    choice = random.Random(seed)
    alive: list[tuple[Any, Owner, socket.socket, list[bytes]]] = []
    for step in range(500):
        action = choice.random()
        if action < 0.3 or not alive:
            alive.append((*connect(table), []))
        elif action < 0.8:
            _, _, theirs, said = choice.choice(alive)
            said.append(b"%d" % step)
            theirs.send(said[-1])
        else:
            slot, owner, theirs, said = alive.pop(choice.randrange(len(alive)))
            table.poll()
            slot.close()
            assert b"".join(owner.heard) == b"".join(said)
            theirs.close()
        if choice.random() < 0.3:
            table.poll()
    assert len(table) == len(alive)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_all_that_wait_are_accepted_with_their_addresses(module: ModuleType, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.bind((host, 0))
        listening.listen()
        listening.setblocking(False)
        assert module.accept_all(listening.fileno(), 10) == []
        peers = [socket.create_connection(listening.getsockname()[:2]) for _ in range(5)]
        accepted = module.accept_all(listening.fileno(), 3) + module.accept_all(listening.fileno(), 3)
        assert [client for _, *client in accepted] == [list(peer.getsockname()[:2]) for peer in peers]
        assert len({id(address) for _, address, _ in accepted}) == 1, "a thousand of one address hold it once"
        for (number, _, _), peer in zip(accepted, peers, strict=True):
            assert not os.get_blocking(number)
            assert not os.get_inheritable(number)
            with socket.socket(fileno=number) as ours, peer:
                ours.send(b"hello")
                assert peer.recv(10) == b"hello"


def test_a_socket_that_cannot_accept_raises(module: ModuleType) -> None:
    with socket.socket() as idle, pytest.raises(OSError) as caught:  # noqa: PT011  # the number is looked at
        module.accept_all(idle.fileno(), 1)
    assert caught.value.errno == errno.EINVAL


def test_what_was_accepted_before_the_system_refused_is_not_lost(module: ModuleType) -> None:
    """Out of descriptors in the middle: those that came before are served, and the next call says why no more are."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        peers = [socket.create_connection(listening.getsockname()) for _ in range(3)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 2, hard))
        try:
            accepted = module.accept_all(listening.fileno(), 10)
            with pytest.raises(OSError, match="Too many open files"):
                module.accept_all(listening.fileno(), 10)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert len(accepted) == 2
        for number, _, _ in accepted + module.accept_all(listening.fileno(), 10):
            os.close(number)
        for peer in peers:
            peer.close()
