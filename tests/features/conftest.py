"""What tests of features share."""

from __future__ import annotations

import pytest

from rtcore.testing.recording_publisher import RecordingPublisher


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()
