"""Settings of a server, from `--config`, the environment and `--set`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from rtcore.errors import SettingsError
from rtcore.server.settings import Settings
from rtcore.server.settings_sources import read_settings

__all__ = ["add_settings_arguments", "settings_of"]


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    """`--config` and `--set`."""
    group = parser.add_argument_group("settings")
    group.add_argument(
        "--config", "--settings", type=Path, metavar="FILE", help="TOML file [RTCORE_SETTINGS, otherwise none]"
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="one setting, such as limits.connections=5000; may be repeated; not for secrets",
    )


def settings_of(options: argparse.Namespace, flags: Mapping[str, object] | None = None) -> Settings:
    """
    The effective settings, each of which is right by itself; `look_at` looks at what is wrong between them.

    Args:
        options: What `add_settings_arguments` declared.
        flags: Further settings by path; None as a value: not given.

    Raises:
        SettingsError: With one line per fault.
    """
    overrides: dict[str, object] = dict(flags or {})
    for assignment in options.set:
        path, sign, value = assignment.partition("=")
        if not sign or not path.strip():
            raise SettingsError(f"--set: expected PATH=VALUE, such as limits.connections=5000, got {path!r}")
        overrides[path.strip()] = value
    file: Path | None = options.config
    if file is None and os.environ.get("RTCORE_SETTINGS"):
        file = Path(os.environ["RTCORE_SETTINGS"])
    return read_settings(file, os.environ, overrides)
