"""Notifications as JSON: in the store, where nothing may be lost, and to readers, who need not see everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from rtcore.features.notifications.escalation import next_step
from rtcore.features.notifications.notification import (
    Action,
    Level,
    Notification,
    Origin,
    Place,
    Progress,
    ProgressStatus,
    Step,
    Taken,
)
from rtcore.values.events import Json, format_timestamp

__all__ = ["document_of", "of_document", "taken_to_wire", "to_wire"]


def document_of(notification: Notification) -> dict[str, Json]:
    """As it is stored: what was left out is at its default."""
    document: dict[str, Json] = {}
    for field in attrs.fields(Notification):
        value = getattr(notification, field.name)
        if field.default is attrs.NOTHING or value != field.default:
            document[field.name] = _plain(value)
    return document


def _plain(value: Any) -> Any:  # Any: fields of several types
    if attrs.has(type(value)):
        return {field.name: _plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if isinstance(value, tuple) and value and not isinstance(value[0], str):
        return [_plain(each) for each in value]
    return value


def of_document(document: Any) -> Notification:  # Any: what `document_of` made, and the store gave back
    """From what was stored."""
    values = dict(document)
    progress = values.pop("progress", None)
    taken, origin, sender = (values.pop(name, None) for name in ("taken", "origin", "sender"))
    return Notification(
        place=Place(**values.pop("place")),
        level=Level(values.pop("level")),
        actions=tuple(Action(**each) for each in values.pop("actions", ())),
        steps=tuple(Step(**each) for each in values.pop("steps", ())),
        copies=tuple(values.pop("copies", ())),
        progress=progress and Progress(**{**progress, "status": ProgressStatus(progress["status"])}),
        taken=taken and Taken(**taken),
        origin=origin and Origin(**origin),
        sender=sender and Place(**sender),
        **values,
    )


def to_wire(notification: Notification, more: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """
    As readers are told; what it has not is left out.

    Args:
        notification: What is told of.
        more: What is to be told with it, such as whether it was read.
    """
    place, progress, following = notification.place, notification.progress, next_step(notification)
    told: dict[str, Json] = {
        "id": notification.id,
        "workspace": place.workspace,
        "user": place.user,
        "kind": notification.kind,
        "level": notification.level.value,
        "title": notification.title,
        "body": notification.body,
        "actions": [_without_none(attrs.asdict(each)) for each in notification.actions] or None,
        "data": notification.data,
        "key": notification.key,
        "persistent": notification.persistent,
        "progress": None if progress is None else {"value": progress.value, "status": progress.status.value},
        "sender": None if notification.sender is None else notification.sender.user,
        "created_at": format_timestamp(notification.created_at),
        "expires_at": format_timestamp(notification.ends_at) if notification.expires else None,
        "updated_at": None if notification.updated_at is None else format_timestamp(notification.updated_at),
        "taken": None if notification.taken is None else taken_to_wire(notification.taken),
        "escalates_at": None if following is None else format_timestamp(following.due_at),
        "escalated_from": None if notification.origin is None else _plain(notification.origin),
    }
    return _without_none(told | dict(more or {}))


def taken_to_wire(taken: Taken) -> dict[str, Json]:
    """What somebody chose, as it is told."""
    return {"action": taken.action, "by": taken.by, "at": format_timestamp(taken.at)}


def _without_none(told: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in told.items() if value is not None}
