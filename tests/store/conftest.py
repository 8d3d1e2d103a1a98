"""Both stores behind one fixture, so that what is promised is asked of both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path

import pytest

from rtcore.store.memory_store import MemoryStore
from rtcore.store.sqlite_store import open_sqlite_store
from rtcore.store.store import Store

OpenStore = Callable[[], AbstractAsyncContextManager[Store]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may be made."""
    return tmp_path / "rtcore.db"


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request: pytest.FixtureRequest, path: Path) -> OpenStore:
    """Opens the store under test; the same documents each time."""
    if request.param == "memory":
        store = MemoryStore()
        return lambda: nullcontext(store)
    # What the contract promises does not depend on the disk; how long a disk takes would be most of these tests.
    return partial(open_sqlite_store, path, synchronous="normal")


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncIterator[Store]:
    """The store under test, open."""
    async with open_store() as store:
        yield store
