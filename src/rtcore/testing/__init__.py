"""
What a test of an application needs: a hub, a server and clients without a network, on a clock that jumps.

    async def test_progress_reaches_the_browser(autojump_clock):
        async with rtcore.testing.open_test_server() as server:
            client = await server.connect()
            await client.request("subscribe", {"channels": ["tasks"]})
            server.hub.publish("tasks", "task.progress", {"progress": 40})
            assert (await client.expect("task.progress"))["data"] == {"progress": 40}

See `docs/testing.md`.
"""

from __future__ import annotations

from rtcore.testing.client_frames import Frame, mask_frame
from rtcore.testing.memory_stream import CloggedStream, clogged_stream_pair
from rtcore.testing.recording_publisher import Published, RecordingPublisher
from rtcore.testing.virtual_server import START, TestServer, open_test_hub, open_test_server, virtual_clock
from rtcore.testing.websocket_client import TestClient

__all__ = [
    "START",
    "CloggedStream",
    "Frame",
    "Published",
    "RecordingPublisher",
    "TestClient",
    "TestServer",
    "clogged_stream_pair",
    "mask_frame",
    "open_test_hub",
    "open_test_server",
    "virtual_clock",
]
