"""What tests of delivery queues share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

import rtcore
from rtcore.errors import StoreError
from rtcore.features.settings import FeatureSettings
from rtcore.store.memory_store import MemoryStore

Of = Callable[..., FeatureSettings]


@pytest.fixture
def of() -> Of:
    """`of(leases=2)`: settings of features, with these of queues."""

    def make(**queues: Any) -> FeatureSettings:
        return FeatureSettings(queues=rtcore.QueueSettings(**queues))

    return make


class FragileStore(MemoryStore):
    """A store whose next writes fail, as many as it is told, after so many seconds."""

    failing = 0
    seconds = 0.0

    async def write(self, changes: Any) -> None:
        if self.failing:
            self.failing -= 1
            await trio.sleep(self.seconds)
            raise StoreError("the disk is full")
        await super().write(changes)


@pytest.fixture
def fragile() -> FragileStore:
    return FragileStore()
