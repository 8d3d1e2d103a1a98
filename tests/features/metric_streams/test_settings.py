"""What can be set of streams is held to what streams themselves take, before any of them begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtcore.application import ApplicationHub
from rtcore.errors import SettingsError
from rtcore.features.metric_streams.settings import BUILT_IN_STREAMS
from rtcore.server.settings_sources import load_settings


def test_streams_that_every_hub_has_are_known_without_one() -> None:
    assert set(ApplicationHub().metrics.streams()) == BUILT_IN_STREAMS


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('client_streams = ["ok", "cpu"]', "client_streams[1]: expected a name of at most 64 letters"),
        ('client_streams = ["a b"]', "client_streams[0]: expected a name of at most 64 letters"),
        ("update_seconds = 0.01", "update_seconds: expected a number of at least 0.05, got 0.01"),
        ("update_seconds = inf", "update_seconds: expected a number of at least 0.05, got inf"),
        ("intervals = { cpu = 0.01 }", "intervals.cpu: expected a number of at least 0.05, got 0.01"),
        ('intervals = { "a b" = 1 }', 'intervals["a b"]: expected a name of at most 64 letters'),
    ],
)
def test_what_no_stream_would_take_is_refused_with_its_place(tmp_path: Path, text: str, fault: str) -> None:
    """Otherwise the server would end in a traceback at its start."""
    file = tmp_path / "s.toml"
    file.write_text(f"[features.metrics]\n{text}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert str(caught.value).startswith(f"$.features.metrics.{fault}")
