"""What is sent out, and what sends it."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from rtcore.features.alerts.alert import Alert

__all__ = ["Notification", "Sender"]


@frozen(kw_only=True)
class Notification:
    """One alert, told at one moment."""

    event: str
    """`alert_triggered` or `alert_resolved`."""
    alert: Alert

    @property
    def id(self) -> str:
        """The same each time that the same thing is told: by it a receiver knows what it has had."""
        return f"{self.alert.id}.{self.event}"


class Sender(Protocol):
    """A way out to one target."""

    async def send(self, notification: Notification) -> None:
        """
        Try once; returns when the other side has taken it.

        A checkpoint. Cancelled, the other side may or may not have taken it.

        Raises:
            DeliveryFailed: It has not.
        """
