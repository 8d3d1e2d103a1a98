"""What documents take in the memory store: their text, and not the buffers in which it was written."""

import tracemalloc

from rtcore.store.memory_store import MemoryStore
from rtcore.store.store import Put

COUNT = 200
ROOM = 1024  # bytes a document of some 40: its text, its key, their objects and places


async def test_a_small_document_takes_no_page_of_memory() -> None:
    """orjson hands over short text in the 4 KiB that it was written in; kept, it would cost 100 times its size."""
    store = MemoryStore()
    changes = [Put("jobs", f"job-{number:04}", {"number": number, "state": "waiting"}) for number in range(COUNT)]
    tracemalloc.start()
    try:
        await store.write(changes)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(await store.read("jobs")) == COUNT
    assert taken < COUNT * ROOM
