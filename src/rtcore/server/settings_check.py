"""All that can be known to be wrong, or unwise, before a server starts: for `rtcore check` and the start itself."""

from __future__ import annotations

from collections.abc import Callable

from rtcore.errors import SettingsError
from rtcore.hub.registry import FeatureRegistry
from rtcore.server.keys import load_keys
from rtcore.server.profile_check import check_profiles
from rtcore.server.settings import Settings, check_conflicts, check_exposure
from rtcore.server.settings_converter import check_types
from rtcore.server.settings_files import check_authorities, check_store_path
from rtcore.server.tls import TlsContext

__all__ = ["check_settings"]


def check_settings(settings: Settings, registry: FeatureRegistry | None = None) -> tuple[str, ...]:
    """
    Check settings as a server's start does: values, conflicts, exposure, endpoints, and whether the files that are
    named can be used: keys, certificates and the place of the store.

    Args:
        settings: From `load_settings`, or built in code.
        registry: Of the hub that is to be served; None: endpoints are not looked at.

    Returns:
        Warnings: what is allowed and may not be meant, one line each with its path.

    Raises:
        SettingsError: With one line per fault, over all checks.
    """
    checks: list[Callable[[], object]] = [
        lambda: check_types(settings),
        lambda: check_conflicts(settings),
        lambda: check_exposure(settings),
    ]
    if registry is not None:
        checks.append(lambda: check_profiles(settings, registry))
    authentication, tls = settings.authentication, settings.tls
    if authentication is not None:
        checks.append(lambda: load_keys(authentication.keys))
    if tls is not None:
        checks.append(lambda: TlsContext(tls))
    store, authorities = settings.store, settings.features.alerts.ca_file
    if store is not None:
        checks.append(lambda: check_store_path(store.path))
    if authorities is not None:
        checks.append(lambda: check_authorities(authorities))
    faults = [fault for check in checks if (fault := _fault_of(check)) is not None]
    if faults:
        raise SettingsError("\n".join(faults))
    return tuple(_warnings(settings))


def _fault_of(check: Callable[[], object]) -> str | None:
    try:
        check()
    except SettingsError as error:
        return str(error)
    return None


def _warnings(settings: Settings) -> list[str]:
    open_to_all = settings.authentication is None
    cases = (
        (
            open_to_all and settings.exposed and bool(settings.anonymous_roles & {"publisher", "admin"}),
            "$.anonymous_roles: everyone who can reach the server may publish",
        ),
        (
            open_to_all and "*" in settings.origins,
            "$.origins: every page in a visitor's browser may connect, and nobody needs a token",
        ),
        (
            not open_to_all and settings.exposed and settings.tls is None and not settings.trusted_proxies,
            "$.tls: tokens cross the network in the clear unless a proxy in front speaks TLS",
        ),
        (
            not open_to_all and settings.allow_anonymous,
            "$.allow_anonymous: without effect, since tokens are required",
        ),
        (
            settings.authentication is not None and not settings.authentication.require_expiry,
            "$.authentication.require_expiry: a token without exp is good for ever",
        ),
        (
            settings.limits.connections_per_address > settings.limits.connections,
            "$.limits.connections_per_address: without effect, since it is over limits.connections",
        ),
    )
    return [warning for applies, warning in cases if applies]
