"""What a notification is."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen

from rtcore.protocol.wire_fields import number, text, wire
from rtcore.values.channels import own_channel
from rtcore.values.events import Json

__all__ = [
    "LABEL_LENGTH",
    "NAME_LENGTH",
    "SHORTEST_SECONDS",
    "URL_LENGTH",
    "USER_LENGTH",
    "Action",
    "Level",
    "Notification",
    "Origin",
    "Place",
    "Progress",
    "ProgressStatus",
    "Step",
    "Taken",
]

NAME_LENGTH: Final = 64
"""Longest identifier of an action, in characters."""
LABEL_LENGTH: Final = 100
"""Longest text on a button, in characters."""
URL_LENGTH: Final = 2000
"""Longest address that a button leads to: what every browser takes."""
USER_LENGTH: Final = 255
"""Longest name of a user or a workspace, in characters, as in tokens."""
SHORTEST_SECONDS: Final = 0.001
"""Shortest time that a notification may speak of: as fine as deadlines are kept."""


class Level(StrEnum):
    """How a page shows it."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


class ProgressStatus(StrEnum):
    """Where that is what a notification tells the progress of; all but the first are ends."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """The process that told of it has ended, however."""


@frozen(kw_only=True)
class Action:
    """A button."""

    id: str = wire(text(NAME_LENGTH))
    label: str = wire(text(LABEL_LENGTH))
    url: str | None = wire(text(URL_LENGTH), default=None)
    """Where it leads as well: `https:`, `http:`, or a path on the page's own server."""


@frozen(kw_only=True)
class Step:
    """Whom an unread notification goes to, and when."""

    user: str = wire(text(USER_LENGTH))
    after: float = wire(number(SHORTEST_SECONDS))
    """Seconds after it was sent; fewer than it lives."""


@frozen(kw_only=True)
class Taken:
    """What somebody chose."""

    action: str
    by: str
    at: float


@frozen(kw_only=True)
class Progress:
    """How far something is."""

    value: float
    """From 0 to 100."""
    status: ProgressStatus = ProgressStatus.RUNNING
    attached: bool = False
    """Whether a block of a process tells it, and it ends with that process."""


@frozen(kw_only=True)
class Origin:
    """The notification that this one is the escalation of."""

    id: str
    user: str
    step: int
    """Number of the step, from 1."""


@frozen
class Place:
    """Whom notifications are for: a user of a workspace, or all of it."""

    workspace: str
    user: str | None = None

    @property
    def channel(self) -> str:
        """Where they are published; ValueError where there can be no such channel."""
        if self.user is None:
            return own_channel("workspace_notifications", self.workspace)
        return own_channel("notifications", self.workspace, self.user)


@frozen(kw_only=True)
class Notification:
    """One notification, as it is for everybody: whether it was read is kept with its readers."""

    id: str
    """Text whose order is that of sending."""
    place: Place
    kind: str
    level: Level
    title: str
    created_at: float
    ends_at: float
    """When it goes away by itself, in Unix seconds."""
    expires: bool = False
    """Whether its sender said so; otherwise it is only no longer kept."""
    body: str | None = None
    actions: tuple[Action, ...] = ()
    data: Json = None
    key: str | None = None
    """A newer one of the same key takes its place."""
    persistent: bool = False
    """Whether a page shows it until somebody dismisses it, and not only for a while."""
    progress: Progress | None = None
    sender: Place | None = None
    """The user who sent it; None: code in the server."""
    receipts: bool = False
    """Whether its sender is told who reads it."""
    taken: Taken | None = None
    updated_at: float | None = None
    steps: tuple[Step, ...] = ()
    """Whom it goes to while nobody reads it."""
    copies: tuple[str, ...] = ()
    """Those that the steps so far have sent, by id: the user is that of the step."""
    origin: Origin | None = None

    def action(self, id: str) -> Action | None:
        """One of its actions."""
        return next((action for action in self.actions if action.id == id), None)
