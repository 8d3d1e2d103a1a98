"""What only the start of `rtcore serve` would find out about its settings."""

from __future__ import annotations

from rtcore.application import ApplicationHub
from rtcore.errors import SettingsError
from rtcore.hub.registry import FeatureRegistry
from rtcore.server.settings import Settings
from rtcore.server.settings_check import check_settings

__all__ = ["serving_faults"]


def serving_faults(settings: Settings) -> list[str]:
    """
    All that would keep a server with these settings from its start, one line each; nothing is opened or begun.

    Args:
        settings: From `settings_of`.
    """
    registry: FeatureRegistry | None = None
    unmade: list[str] = []
    try:
        # Made and never run: which commands, dialects and paths there are, features alone know.
        registry = ApplicationHub(
            limits=settings.limits, namespaces=settings.namespaces, features=settings.features
        ).registry
    except ValueError as error:
        unmade.append(f"$: {error}")  # told only where no check has words of its own for it
    try:
        check_settings(settings, registry)
    except SettingsError as error:
        return str(error).splitlines()
    return unmade
