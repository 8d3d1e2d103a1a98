"""What alerts count of themselves."""

from __future__ import annotations

from attrs import frozen

from rtcore.features.alerts.delivery import DeliveryStatistics

__all__ = ["AlertStatistics"]


@frozen(kw_only=True)
class AlertStatistics:
    """Rules and alerts since the hub was opened."""

    rules: int
    """Rules now."""
    active: int
    """Alerts that are firing or acknowledged now."""
    triggered: int
    """Alerts that began."""
    evaluations: int
    """How often a condition was asked."""
    hook_failures: int
    """Runs of hooks that raised, took too long or could not begin."""
    deliveries: DeliveryStatistics
    """Notifications to targets."""
