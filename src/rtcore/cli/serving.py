"""What only the start of `rtcore serve` would find out about its settings."""

from __future__ import annotations

from rtcore.application import ApplicationHub
from rtcore.errors import SettingsError
from rtcore.server.settings import Settings
from rtcore.server.settings_check import check_settings

__all__ = ["serving_faults"]


def serving_faults(settings: Settings) -> list[str]:
    """
    All that would keep a server with these settings from its start, one line each; nothing is opened or begun.

    Args:
        settings: From `settings_of`.
    """
    unmade: list[str] = []
    try:
        # Made and never run: which commands, dialects and paths there are, features alone know.
        hub = ApplicationHub(limits=settings.limits, namespaces=settings.namespaces, features=settings.features)
    except ValueError as error:
        unmade.append(f"$: {error}")  # told only where no check has words of its own for it
        hub = ApplicationHub()  # the names are the same whatever is set, and what is wrong with those is told as well
    try:
        check_settings(settings, hub.registry)
    except SettingsError as error:
        return str(error).splitlines()
    return unmade
