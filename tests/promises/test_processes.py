"""
The promise of processes: output whole and in order, memory bounded, and an end that leaves nothing behind.

Real processes and real time: there is no virtual clock here, and no test waits for a time to pass; where a deadline is
the point, it is made short by `Limits`, and only that it was kept is checked, with seconds to spare.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import trio
from attrs import define, field

from rtcore.features.process_output import OutputPiece
from rtcore.features.processes import ProcessResult, stream_process
from rtcore.values.limits import Limits

PYTHON = sys.executable
PATIENCE_SECONDS = 60.0
QUICK = Limits(process_exit_seconds=0.3, process_drain_seconds=0.3)
"""For what has to run into a deadline."""


@define(eq=False)
class Collector:
    """Takes output and lets a test wait for some text in it."""

    pieces: list[OutputPiece] = field(factory=list)
    _changed: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    async def emit(self, piece: OutputPiece) -> None:
        self.pieces.append(piece)
        self._changed.unpark_all()

    def text(self, *, is_stderr: bool = False) -> str:
        return "".join(piece.text for piece in self.pieces if piece.is_stderr is is_stderr)

    async def wait_for(self, text: str) -> None:
        while text not in self.text():
            await self._changed.park()


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No descriptor, no child and no zombie more than before, whatever a test does."""
    process = psutil.Process()
    before = process.num_fds()
    yield
    assert process.children() == []
    # The trio run's own descriptors are closed before this teardown or counted in both; only more is a leak.
    assert process.num_fds() <= before


async def run(command: list[str], collector: Collector, *, limits: Limits = QUICK) -> ProcessResult:
    with trio.fail_after(PATIENCE_SECONDS):
        return await stream_process(command, collector.emit, limits=limits)


async def run_and_cancel(
    command: list[str], when: str, *, limits: Limits = QUICK, collector: Collector | None = None
) -> Collector:
    """Run a command, cancel once it has printed `when`."""
    collector = collector or Collector()
    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: stream_process(command, collector.emit, limits=limits))
            await collector.wait_for(when)
            nursery.cancel_scope.cancel()
    return collector


async def wait_gone(pid: int) -> None:
    """Until a process is dead; it may stay a zombie where nobody adopts orphans."""
    with trio.fail_after(PATIENCE_SECONDS):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await trio.lowlevel.checkpoint()


async def test_each_stream_is_whole_and_in_order_and_the_pieces_are_numbered() -> None:
    script = "import sys\nfor n in range(5000): print(n); print(n, file=sys.stderr)"
    collector = Collector()
    result = await run([PYTHON, "-c", script], collector)
    expected = "".join(f"{n}\n" for n in range(5000))
    assert (collector.text(), collector.text(is_stderr=True)) == (expected, expected)
    assert [piece.sequence for piece in collector.pieces] == list(range(result.pieces))
    assert (result.exit_code, result.output_cut) == (0, False)


async def test_turns_on_both_outputs_come_in_the_order_of_arrival(tmp_path: Path) -> None:
    """The process writes each turn only after the one before was taken."""
    fifo = tmp_path / "turns"
    os.mkfifo(fifo)
    script = f"exec 3<'{fifo}'; for n in 1 2 3; do echo out$n; read go <&3; echo err$n >&2; read go <&3; done"
    order: list[str] = []
    descriptor = os.open(fifo, os.O_RDWR)

    async def emit(piece: OutputPiece) -> None:
        order.append(piece.text.strip())
        os.write(descriptor, b"go\n")

    try:
        with trio.fail_after(PATIENCE_SECONDS):
            await stream_process(["sh", "-c", script], emit)
    finally:
        os.close(descriptor)
    assert order == ["out1", "err1", "out2", "err2", "out3", "err3"]


async def test_characters_are_never_cut_and_what_is_no_text_is_replaced() -> None:
    script = (
        "import os,time\nfor b in '€'.encode(): os.write(1, bytes([b])); time.sleep(0.02)\nos.write(1, b'\\xff\\xe2')"
    )
    collector = Collector()
    await run([PYTHON, "-c", script], collector)
    assert collector.text() == "€\ufffd\ufffd"
    assert collector.pieces[0].text.startswith("€")


async def test_a_flood_leaves_in_few_full_pieces() -> None:
    collector = Collector()
    await run(["sh", "-c", "yes | head -c 4194304"], collector)
    assert len(collector.text()) == 4194304
    assert max(len(piece.text) for piece in collector.pieces) <= QUICK.output_line_bytes
    assert len(collector.pieces) < 4 * 4194304 / QUICK.output_line_bytes


async def test_hundreds_of_megabytes_need_no_more_memory_than_a_few_lines() -> None:
    """In a process of its own, so that its peak is the stream's and no other test's."""
    script = """
import json, resource, trio
from rtcore.features.processes import stream_process

seen = 0

async def emit(piece):
    global seen
    seen += len(piece.text)

async def main():
    await stream_process(["sh", "-c", "yes 'one line of many' | head -c 1000"], emit)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = await stream_process(["sh", "-c", "yes 'one line of many' | head -c 300000000"], emit)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seen": seen, "grown_kib": after - before, "exit_code": result.exit_code}))

trio.run(main)
"""
    process = await trio.run_process([PYTHON, "-W", "error", "-c", script], capture_stdout=True)
    outcome = json.loads(process.stdout)
    assert (outcome["seen"], outcome["exit_code"]) == (300_001_000, 0)
    assert outcome["grown_kib"] < 8 * 1024


async def test_a_process_waits_while_nobody_takes_its_output() -> None:
    """Backpressure: the process itself finds its pipe full, and has written no more than buffer and pipe hold."""
    script = """
import os, select
os.set_blocking(1, False)
written = 0
while select.select([], [1], [], 0.5)[1]:
    written += os.write(1, b"x" * 4096)
os.write(2, str(written).encode())
"""
    limits = Limits(output_buffer_bytes=4096, output_line_bytes=1024)
    full = trio.Event()
    received: list[OutputPiece] = []

    async def emit(piece: OutputPiece) -> None:
        received.append(piece)
        await full.wait()

    async def wait_exit(pid: int) -> None:
        await wait_gone(pid)
        full.set()

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:

            def watch(pid: int) -> None:
                nursery.start_soon(wait_exit, pid)

            await stream_process([PYTHON, "-c", script], emit, on_started=watch, limits=limits)
    written = int("".join(piece.text for piece in received if piece.is_stderr))
    assert written == sum(len(piece.text) for piece in received if not piece.is_stderr)
    assert written < 1024 * 1024


async def test_a_cancelled_process_gets_sigterm_and_its_last_words_are_heard() -> None:
    script = "trap 'echo goodbye; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    collector = await run_and_cancel(["sh", "-c", script], "ready", limits=Limits())
    assert collector.text() == "ready\ngoodbye\n"


async def test_a_process_that_ignores_sigterm_is_killed_after_its_grace() -> None:
    collector = await run_and_cancel(["sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.05; done"], "\n")
    await wait_gone(int(collector.text()))


async def test_a_stopped_process_is_ended_too() -> None:
    collector = await run_and_cancel(["sh", "-c", "echo $$; kill -STOP $$"], "\n", limits=Limits())
    await wait_gone(int(collector.text()))


async def test_descendants_end_with_a_cancelled_process() -> None:
    script = "sleep 300 & echo $!; (trap '' TERM; sleep 300) & echo $!; echo $$; wait"
    collector = Collector()
    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: stream_process(["sh", "-c", script], collector.emit, limits=QUICK))
            while collector.text().count("\n") < 3:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    for pid in collector.text().split():
        await wait_gone(int(pid))


async def test_cancelling_before_the_start_starts_nothing() -> None:
    started: list[int] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        await stream_process(["sleep", "300"], Collector().emit, on_started=started.append)
    assert (scope.cancelled_caught, started) == (True, [])


async def test_cancelling_at_the_very_start_ends_the_process() -> None:
    started: list[int] = []
    with trio.CancelScope() as scope:

        def on_started(pid: int) -> None:
            started.append(pid)
            scope.cancel()

        await stream_process(["sleep", "300"], Collector().emit, on_started=on_started)
    assert scope.cancelled_caught
    await wait_gone(started[0])


async def test_a_cancelled_call_ends_though_nobody_takes_the_output() -> None:
    """The sink hangs for ever: the process ends by its signals, and the call by its deadline."""
    stuck = trio.Event()

    async def emit(piece: OutputPiece) -> None:
        stuck.set()
        await trio.sleep_forever()

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: stream_process(["yes"], emit, limits=QUICK))
            await stuck.wait()
            nursery.cancel_scope.cancel()


async def test_a_child_that_closes_its_outputs_and_lives_on_is_waited_for(tmp_path: Path) -> None:
    done = tmp_path / "done"
    script = f"exec >&- 2>&-; sleep 0.2; : > '{done}'; exit 5"
    result = await run(["sh", "-c", script], Collector())
    assert (result.exit_code, done.exists()) == (5, True)


async def test_a_descendant_that_keeps_the_pipe_open_does_not_hold_up_the_end() -> None:
    collector = Collector()
    result = await run(["sh", "-c", "sleep 300 & echo $!"], collector)
    child = int(collector.text())
    try:
        assert (result.exit_code, result.output_cut) == (0, True)
        assert psutil.pid_exists(child)
    finally:
        os.kill(child, signal.SIGKILL)
        await wait_gone(child)


async def test_a_descendant_that_goes_on_writing_does_not_hold_up_the_end() -> None:
    result = await run(["sh", "-c", "yes & exit 0"], Collector())
    assert (result.exit_code, result.output_cut) == (0, True)


async def test_a_slow_sink_gets_all_that_a_process_left_behind_in_its_pipe() -> None:
    """The grace after the exit is for descendants; it must not cut what the process itself had written."""
    limits = Limits(output_buffer_bytes=1024, output_line_bytes=1024, process_drain_seconds=0.01)
    received: list[str] = []

    async def emit(piece: OutputPiece) -> None:
        await trio.sleep(0.005)
        received.append(piece.text)

    with trio.fail_after(PATIENCE_SECONDS):
        result = await stream_process(["sh", "-c", "yes | head -c 60000"], emit, limits=limits)
    assert (len("".join(received)), result.output_cut) == (60000, False)


@pytest.mark.parametrize("fails_in", ["emit", "on_started"])
async def test_a_sink_that_fails_ends_the_process_and_its_error_comes_out_bare(fails_in: str) -> None:
    started: list[int] = []

    async def emit(piece: OutputPiece) -> None:
        raise OSError("sink is gone")

    def on_started(pid: int) -> None:
        started.append(pid)
        if fails_in == "on_started":
            raise OSError("sink is gone")

    with trio.fail_after(PATIENCE_SECONDS), pytest.raises(OSError, match="sink is gone"):
        await stream_process(["yes"], emit, on_started=on_started)
    await wait_gone(started[0])


async def test_input_that_the_process_does_not_want_is_no_error() -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        result = await stream_process(["true"], Collector().emit, stdin=b"x" * 1_000_000)
    assert result.exit_code == 0


async def test_more_input_than_a_pipe_holds_comes_back_whole() -> None:
    collector = Collector()
    data = "0123456789" * 100_000
    with trio.fail_after(PATIENCE_SECONDS):
        await stream_process(["cat"], collector.emit, stdin=data.encode())
    assert collector.text() == data


async def test_many_processes_at_once_do_not_mix() -> None:
    collectors = [Collector() for _ in range(20)]
    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            for number, collector in enumerate(collectors):
                command = ["sh", "-c", f"for i in 1 2 3; do echo {number}; done"]
                nursery.start_soon(stream_process, command, collector.emit)
    assert [collector.text() for collector in collectors] == [f"{number}\n" * 3 for number in range(20)]


async def test_without_pidfd_everything_ends_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older Linux, macOS and some sandboxes have none."""

    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError("not here")

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    result = await run(["sh", "-c", "exit 7"], Collector())
    assert result.exit_code == 7
    collector = await run_and_cancel(["sh", "-c", "echo $$; exec sleep 300"], "\n")
    await wait_gone(int(collector.text()))


def test_an_interrupted_program_ends_its_process_and_itself() -> None:
    """Control-C in the terminal of a program that runs a process: nothing stays behind."""
    script = """
import trio
from rtcore.features.processes import stream_process

async def emit(piece):
    print(piece.text, end="", flush=True)

trio.run(stream_process, ["sh", "-c", "echo $$; exec sleep 300"], emit)
"""
    with subprocess.Popen([PYTHON, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        child = int(program.stdout.readline())
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=PATIENCE_SECONDS)
    assert "KeyboardInterrupt" in errors
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
