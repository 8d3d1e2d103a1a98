"""Files that settings name: what cannot be used is told before the server starts, not when it is too late."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rtcore.errors import SettingsError
from rtcore.features.alerts.settings import AlertSettings
from rtcore.features.settings import FeatureSettings
from rtcore.server.settings import Settings, StoreSettings
from rtcore.server.settings_check import check_settings


def fault_of(settings: Settings) -> str:
    with pytest.raises(SettingsError) as caught:
        check_settings(settings)
    return str(caught.value)


def with_authorities(file: Path) -> Settings:
    return Settings(features=FeatureSettings(alerts=AlertSettings(ca_file=file)))


def with_store(path: Path) -> Settings:
    return Settings(store=StoreSettings(path=path))


def test_authorities_must_be_there(tmp_path: Path, make_certificate: Callable[..., tuple[Path, Path]]) -> None:
    """Without them every notification over TLS would fail, and be given up."""
    missing, empty = tmp_path / "missing.pem", tmp_path / "empty.pem"
    place = "$.features.alerts.ca_file"
    assert fault_of(with_authorities(missing)) == f"{place}: {missing} cannot be read: No such file or directory"
    empty.write_text("")
    assert fault_of(with_authorities(empty)).startswith(f"{place}: {empty} holds no certificates in PEM: ")
    check_settings(with_authorities(make_certificate("good")[0]))


def test_store_needs_a_folder_and_is_none(tmp_path: Path) -> None:
    lost = tmp_path / "nowhere" / "x.db"
    assert fault_of(with_store(tmp_path)) == f"$.store.path: expected a file, {tmp_path} is a folder"
    assert fault_of(with_store(lost)) == f"$.store.path: {lost} cannot be made: there is no folder {lost.parent}"
    check_settings(with_store(tmp_path / "x.db"))
    assert list(tmp_path.iterdir()) == [], "nothing is made to find that out"


def test_store_must_be_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of the system, whose answer is given here: the tests may run as a user who may write everywhere."""
    file = tmp_path / "x.db"
    file.touch()
    closed: list[str] = []
    monkeypatch.setattr(os, "access", lambda path, mode: path not in closed)
    check_settings(with_store(file))
    closed[:] = [str(tmp_path)]
    assert fault_of(with_store(file)) == (
        f"$.store.path: {file} cannot be used: its folder {tmp_path} cannot be written to"
    )
    closed[:] = [str(file)]
    assert fault_of(with_store(file)) == f"$.store.path: {file} cannot be read and written to"


def test_every_file_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    settings = Settings(
        store=StoreSettings(path=tmp_path),
        features=FeatureSettings(alerts=AlertSettings(ca_file=tmp_path / "missing.pem")),
    )
    assert [line.partition(":")[0] for line in fault_of(settings).splitlines()] == [
        "$.store.path",
        "$.features.alerts.ca_file",
    ]
