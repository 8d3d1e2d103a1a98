"""What only the start of `rtcore serve` would find out about its settings."""

from __future__ import annotations

from attrs import frozen

from rtcore.application import ApplicationHub
from rtcore.errors import SettingsError
from rtcore.server.settings import Settings
from rtcore.server.settings_check import check_settings

__all__ = ["Findings", "look_at"]


@frozen
class Findings:
    """One line each."""

    faults: tuple[str, ...]
    """What would keep a server from its start."""
    warnings: tuple[str, ...] = ()
    """What is allowed and may not be meant; not looked for where there are faults."""


def look_at(settings: Settings) -> Findings:
    """
    What a server's start would find in these settings; nothing is opened or begun.

    Args:
        settings: From `settings_of`.
    """
    unmade: tuple[str, ...] = ()
    try:
        # Made and never run: which commands, dialects and paths there are, features alone know.
        hub = ApplicationHub(limits=settings.limits, namespaces=settings.namespaces, features=settings.features)
    except ValueError as error:
        unmade = (f"$: {error}",)  # told only where no check has words of its own for it
        hub = ApplicationHub()  # the names are the same whatever is set, and what is wrong with those is told as well
    try:
        warnings = check_settings(settings, hub.registry)
    except SettingsError as error:
        return Findings(tuple(str(error).splitlines()))
    return Findings(unmade, warnings)
