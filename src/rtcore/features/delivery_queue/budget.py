"""How much memory the jobs of all queues may take."""

from __future__ import annotations

from collections import Counter

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.delivery_queue.settings import QueueSettings

__all__ = ["Budget"]


class Budget:
    """Bytes by workspace; what is taken is given back when the job is done or dropped."""

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._total = 0
        self._bytes: Counter[str] = Counter()

    def take(self, workspace: str, size: int) -> None:
        """RequestError `limit.busy` where there is no room for so many bytes more: then nothing was taken."""
        of_workspace = self._bytes[workspace] + size
        if of_workspace > self._settings.workspace_bytes:
            self._refuse(f"the queues of this workspace would hold {of_workspace} bytes", "workspace_bytes")
        if self._total + size > self._settings.total_bytes:
            self._refuse(f"all queues together would hold {self._total + size} bytes", "total_bytes")
        self.add(workspace, size)

    def add(self, workspace: str, size: int) -> None:
        """Count bytes that are there already; negative ones are given back."""
        self._total += size
        self._bytes[workspace] += size
        if not self._bytes[workspace]:
            del self._bytes[workspace]

    def _refuse(self, problem: str, setting: str) -> None:
        limit = getattr(self._settings, setting)
        raise RequestError(ErrorCode.BUSY, f"{problem}, more than {setting}={limit}")
