"""Fan-out: each socket of each group gets its bytes, in order and in one write, and who does not take all is named."""

from __future__ import annotations

import errno
import random
import select
import socket
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="epoll is Linux's")

LoadTwin = Callable[[str], ModuleType]


class Bench:
    """Sockets in a table, and a fan-out over them."""

    def __init__(self, load_twin: LoadTwin) -> None:
        self.table = load_twin("socket_table").SocketTable()
        module = load_twin("fan_out")
        self.fan_out = module.FanOut(1 << 40)
        self.new_group = module.SlotGroup
        self.peers: dict[Any, socket.socket] = {}

    def slot(self) -> Any:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        slot = self.table.add(ours.detach(), object())
        self.peers[slot] = theirs
        return slot

    def group(self, slots: list[Any]) -> Any:
        group = self.new_group()
        for slot in slots:
            group.add(slot, slot)
        return group

    def got(self, slot: Any) -> bytes:
        data = b""
        try:
            while some := self.peers[slot].recv(1 << 20):
                data += some
        except BlockingIOError:
            pass
        return data

    def clog(self, slot: Any) -> int:
        """Fill the system's buffer; how many bytes that took."""
        total = 0
        while sent := slot.send(bytes(65536)):
            total += sent
        return total

    def close(self) -> None:
        self.table.close()
        for peer in self.peers.values():
            peer.close()


@pytest.fixture
def bench(load_twin: LoadTwin) -> Iterator[Bench]:
    made = Bench(load_twin)
    yield made
    made.close()


def test_every_socket_of_a_group_gets_the_bytes_in_one_write(bench: Bench) -> None:
    slots = [bench.slot() for _ in range(100)]
    bench.fan_out.add(bench.group(slots), b"hello")
    assert bench.fan_out.send() == []
    assert [bench.got(slot) for slot in slots] == [b"hello"] * 100
    assert (bench.fan_out.writes, bench.fan_out.bytes_sent) == (100, 500)
    assert bench.fan_out.send() == [], "a round is over when it was sent"
    assert bench.fan_out.writes == 100


def test_parts_of_several_groups_leave_in_one_write_each_in_order(bench: Bench) -> None:
    """What one tick has for a connection leaves in one write, whatever the number of its views."""
    a, b, c = (bench.slot() for _ in range(3))
    for slots, data in (([a, b], b"1"), ([b, c], b"22"), ([], b"nobody"), ([c, b, a], b"333")):
        bench.fan_out.add(bench.group(slots), data)
    assert bench.fan_out.send() == []
    assert [bench.got(slot) for slot in (a, b, c)] == [b"1333", b"122333", b"22333"]
    assert bench.fan_out.writes == 3


def test_more_parts_than_a_system_call_takes_all_leave(bench: Bench) -> None:
    slot = bench.slot()
    for number in range(1000):
        bench.fan_out.add(bench.group([slot]), b"%d," % number)
    assert bench.fan_out.send() == []
    assert bench.got(slot) == b"".join(b"%d," % number for number in range(1000))
    assert bench.fan_out.writes == 4


@pytest.mark.parametrize("parts", [1, 3])
def test_a_socket_without_room_is_named_with_all_that_is_left(bench: Bench, parts: int) -> None:
    good, clogged = bench.slot(), bench.slot()
    before = bench.clog(clogged)
    for number in range(parts):
        bench.fan_out.add(bench.group([good, clogged]), b"%d" % number)
    [(slot, rest, error)] = bench.fan_out.send()
    whole = b"012"[:parts]
    assert (slot is clogged, bytes(rest), error) == (True, whole, 0)
    assert bench.got(good) == whole
    assert bench.got(clogged) == bytes(before)


@pytest.mark.parametrize("parts", [1, 2, 300])
def test_what_was_taken_and_what_is_left_make_the_whole(bench: Bench, parts: int) -> None:
    """A write may end anywhere: inside a part, and with more parts than one call takes."""
    slot = bench.slot()
    pieces = [bytes([number % 251]) * (4_000_000 // parts) for number in range(parts)]
    for piece in pieces:
        bench.fan_out.add(bench.group([slot]), piece)
    [(_, rest, error)] = bench.fan_out.send()
    assert error == 0
    assert bench.got(slot) + bytes(rest) == b"".join(pieces)
    assert 0 < len(rest) < 4_000_000


def test_the_rest_of_one_part_is_not_copied(bench: Bench) -> None:
    """A thousand slow readers of one slice must not hold a thousand copies of it."""
    slots = [bench.slot() for _ in range(3)]
    data = bytes(4_000_000)
    bench.fan_out.add(bench.group(slots), data)
    assert all(rest.obj is data for _, rest, _ in bench.fan_out.send())
    for slot in slots:
        bench.clog(slot)
    bench.fan_out.add(bench.group(slots), data)
    assert all(rest is data for _, rest, _ in bench.fan_out.send())


def test_a_peer_that_is_gone_is_named_with_the_error(bench: Bench) -> None:
    good, gone = bench.slot(), bench.slot()
    bench.peers[gone].close()
    bench.fan_out.add(bench.group([gone, good]), b"x")
    assert bench.fan_out.send() == [(gone, b"x", errno.EPIPE)]
    assert bench.got(good) == b"x"


def test_a_slot_closed_meanwhile_is_passed_over_whoever_has_its_number_now(bench: Bench) -> None:
    """A descriptor number comes back at once: an event for the old connection must not reach the new one."""
    slots = [bench.slot() for _ in range(3)]
    group = bench.group(slots)
    number = slots[1].descriptor
    slots[1].close()
    newcomer = bench.slot()
    assert newcomer.descriptor == number
    for rounds in (1, 2):
        for _ in range(rounds):
            bench.fan_out.add(group, b"x")
        assert bench.fan_out.send() == []
    assert bench.got(newcomer) == b""
    assert bench.got(slots[0]) == b"xxx"


@pytest.mark.parametrize("parts", [1, 3])
def test_each_slot_counts_what_it_took_of_both_ways_to_write(bench: Bench, parts: int) -> None:
    """So a connection can tell what went over its own wire; what a full one did not take is not counted."""
    free, full = bench.slot(), bench.slot()
    assert free.send(b"hello") == 5
    clogged = bench.clog(full)
    for _ in range(parts):
        bench.fan_out.add(bench.group([free, full]), b"x" * 100_000)
    ((_, rest, _),) = [failure for failure in bench.fan_out.send() if failure[0] is full]
    assert full.bytes_sent == clogged + parts * 100_000 - len(rest)
    assert free.bytes_sent == len(bench.got(free))
    free.close()
    assert free.bytes_sent > 5, "told also when it is over"


@pytest.mark.parametrize("write_bytes", [0, 10, 11])
def test_a_socket_with_another_part_is_not_written_more_than_the_bound(
    bench: Bench, load_twin: LoadTwin, write_bytes: int
) -> None:
    """However many views have something for a connection, one write stays bounded; others do not wait for it."""
    fan_out = load_twin("fan_out").FanOut(write_bytes)
    a, b, c = (bench.slot() for _ in range(3))
    assert fan_out.add(bench.group([a]), b"x" * 100), "alone it may be of any length"
    assert not fan_out.add(bench.group([b, a]), b"1")
    assert fan_out.add(bench.group([b]), b"22222")
    assert fan_out.add(bench.group([c]), b"333333")
    assert fan_out.add(bench.group([b, c]), b"4444") is (write_bytes >= 10)
    assert fan_out.add(bench.group([b]), b"55") is (write_bytes >= 11)
    assert fan_out.send() == []
    assert bench.got(a) == b"x" * 100
    assert bench.got(c) == b"333333" + (b"4444" if write_bytes >= 10 else b"")
    assert fan_out.add(bench.group([b, a]), b"1"), "a new round knows nothing of the last"
    assert fan_out.send() == []


def test_removing_moves_the_last_member_into_the_place(bench: Bench) -> None:
    slots = [bench.slot() for _ in range(4)]
    group = bench.new_group()
    assert [group.add(slot, name) for slot, name in zip(slots, "abcd", strict=True)] == [0, 1, 2, 3]
    assert group.remove(1) == "d"
    assert group.remove(2) is None
    assert (group.members, group.slots, len(group)) == (["a", "d"], [slots[0], slots[3]], 2)
    for place in (-1, 2):
        with pytest.raises(IndexError, match=f"place {place} is outside 0 to 1"):
            group.remove(place)
    bench.fan_out.add(group, b"x")
    bench.fan_out.send()
    assert [bench.got(slot) for slot in slots] == [b"x", b"", b"", b"x"]


def test_arguments_of_other_types_are_refused(bench: Bench) -> None:
    group = bench.new_group()
    with pytest.raises(TypeError):
        group.add(None, "member")
    with pytest.raises(TypeError):
        bench.fan_out.add(group, "text")
    with pytest.raises(TypeError):
        bench.fan_out.add(None, b"x")


@pytest.mark.parametrize("seed", range(10))
def test_twins_take_and_refuse_the_same_parts(load_twin: LoadTwin, seed: int) -> None:
    """Against arithmetic: the bytes of the parts of a socket, with the bound wherever there is a second part."""
    choice = random.Random(seed)
    bench = Bench(load_twin)
    fan_out = load_twin("fan_out").FanOut(50)
    slots = [bench.slot() for _ in range(6)]
    groups = [(bench.group(some), some) for some in (choice.sample(slots, choice.randrange(4)) for _ in range(10))]
    for _ in range(100):
        pending: dict[Any, int] = {}
        for _ in range(choice.randrange(6)):
            group, some = choice.choice(groups)
            size = choice.randrange(1, 60)
            fits = all(pending[slot] + size <= 50 for slot in some if slot in pending)
            assert fan_out.add(group, b"x" * size) is fits
            if fits:
                pending |= {slot: pending.get(slot, 0) + size for slot in some}
        assert fan_out.send() == []
        assert {slot: len(bench.got(slot)) for slot in pending} == pending
    bench.close()


@pytest.mark.parametrize("seed", range(10))
def test_random_groups_deliver_what_a_plain_loop_would(bench: Bench, seed: int) -> None:
    choice = random.Random(seed)
    slots = [bench.slot() for _ in range(20)]
    groups: list[tuple[Any, list[Any]]] = [(bench.new_group(), []) for _ in range(6)]
    expected: dict[Any, bytes] = dict.fromkeys(slots, b"")
    for step in range(300):
        group, members = choice.choice(groups)
        absent = [slot for slot in slots if slot not in members]
        if absent and choice.random() < 0.5:
            members.append(choice.choice(absent))
            group.add(members[-1], None)
        elif members:
            place = choice.randrange(len(members))
            group.remove(place)
            members[place] = members[-1]
            members.pop()
        if choice.random() < 0.3:
            for number in range(choice.randrange(1, 4)):
                group, members = choice.choice(groups)
                bench.fan_out.add(group, b"%d.%d;" % (step, number))
                for slot in members:
                    expected[slot] += b"%d.%d;" % (step, number)
            assert bench.fan_out.send() == []
    assert {slot: bench.got(slot) for slot in slots} == expected
