"""Settings of approvals, from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtcore.errors import SettingsError
from rtcore.features.approvals.settings import ApprovalSettings
from rtcore.server.settings_sources import load_settings


def read(path: Path, text: str) -> ApprovalSettings:
    file = path / "rtcore.toml"
    file.write_text(f"[features.approvals]\n{text}\n")
    return load_settings(file).features.approvals


def test_settings_are_read_from_a_file(tmp_path: Path) -> None:
    settings = read(tmp_path, 'approver_roles = ["boss"]\nexpires_seconds = 60\ndecide_own = true\nkept_approvals = 5')
    assert settings == ApprovalSettings(
        approver_roles={"boss"}, expires_seconds=60.0, decide_own=True, kept_approvals=5
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('approver_roles = "boss"', 'approver_roles: expected a list, each item text that is not empty, got "boss"'),
        ('requester_roles = [""]', "requester_roles[0]: expected text that is not empty, got \"\""),
        ("decide_own = 1", "decide_own: expected true or false, got 1"),
        ("expires_seconds = 0", "expires_seconds: expected a number over 0, up to 3153600000, got 0"),
        ("maximum_seconds = 1e12", "maximum_seconds: expected a number over 0, up to 3153600000, got 1000000000000.0"),
        ("kept_approvals = 0", "kept_approvals: expected a whole number of at least 1, got 0"),
        ('kept_seconds = "x"', 'kept_seconds: expected a number over 0, got "x"'),
        ("store_seconds = 0", "store_seconds: expected a number over 0, got 0"),
        ("quorum = 3", "quorum: unknown setting"),
    ],
)
def test_fault_names_the_setting_and_what_is_expected(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    assert str(caught.value) == f"$.features.approvals.{fault}"
