"""Whether the files that settings name can be used, as far as that shows before anything uses them."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from rtcore.errors import SettingsError

__all__ = ["check_authorities", "check_store_path"]


def check_authorities(file: Path) -> None:
    """
    Refuse authorities of alerts that no connection could be verified with: every notification would be lost.

    Args:
        file: `$.features.alerts.ca_file`.

    Raises:
        SettingsError: If it cannot be read, or holds no certificate.
    """
    place = "$.features.alerts.ca_file"
    try:
        ssl.create_default_context(cafile=file)
    except ssl.SSLError as error:
        reason = error.reason or "not usable"
        raise SettingsError(f"{place}: {file} holds no certificates in PEM: {reason}") from None
    except OSError as error:
        raise SettingsError(f"{place}: {file} cannot be read: {error.strerror}") from error


def check_store_path(path: Path) -> None:
    """
    Refuse a place where there can be no store. Nothing is made or opened: a server may have it in use.

    Args:
        path: `$.store.path`.

    Raises:
        SettingsError: If it is a folder, or it or its folder cannot be written to.
    """
    file = os.path.realpath(path)  # behind a link, the folder of the file itself is the one that is written to
    folder = os.path.dirname(file)
    if os.path.isdir(file):
        problem = f"expected a file, {path} is a folder"
    elif not os.path.isdir(folder):
        problem = f"{path} cannot be made: there is no folder {folder}"
    elif not os.access(folder, os.W_OK | os.X_OK):  # a lock and a log are made beside the file
        problem = f"{path} cannot be used: its folder {folder} cannot be written to"
    elif os.path.exists(file) and not os.access(file, os.R_OK | os.W_OK):
        problem = f"{path} cannot be read and written to"
    else:
        return
    raise SettingsError(f"$.store.path: {problem}")
