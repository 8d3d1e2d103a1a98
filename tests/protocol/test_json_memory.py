"""A process that has no memory left to read a message in: whose fault that is."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource
from pathlib import Path

from rtcore.errors import RequestError
from rtcore.protocol.json_codec import json_loads

text = b'"' + b"x" * 10_000_000 + b'"'
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 30_000_000, resource.RLIM_INFINITY))
try:
    json_loads(text, 64)
except MemoryError:
    print("memory")
try:
    json_loads(b"{", 64)
except RequestError as error:
    print(error.code.value)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a process cannot be held to its size so")
def test_message_that_there_is_no_memory_for_is_no_fault_of_its_sender() -> None:
    """It was told `request.malformed`, for good and without the `id`: a client that asked waited for ever."""
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert (told.stdout.split(), told.stderr) == (["memory", "request.malformed"], "")
