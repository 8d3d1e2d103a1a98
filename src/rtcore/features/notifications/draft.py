"""
What is asked to be sent: read the same way from code, from a client's command and from a body over HTTP.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any, Final

from attrs import evolve, frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.notifications.escalation import check_steps
from rtcore.features.notifications.notification import (
    NAME_LENGTH,
    SHORTEST_SECONDS,
    USER_LENGTH,
    Action,
    Level,
    Notification,
    Place,
    Progress,
    ProgressStatus,
    Step,
)
from rtcore.features.notifications.notification_json import document_of
from rtcore.features.notifications.settings import NotificationSettings
from rtcore.protocol.command_fields import read_text
from rtcore.protocol.json_codec import json_dumps
from rtcore.protocol.wire_fields import any_json, flag, items, nested, number, one_of, text, wire
from rtcore.values.channels import channel_part
from rtcore.values.events import Json
from rtcore.values.identity import DEFAULT_WORKSPACE
from rtcore.values.limits import Limits
from rtcore.values.shown import show

__all__ = [
    "KEY_LENGTH",
    "Draft",
    "SendFields",
    "UpdateFields",
    "check_place",
    "check_size",
    "check_texts",
    "fields_of",
    "has_channel",
    "located",
]

KEY_LENGTH: Final = 255
"""Longest key, in characters, of either kind."""
_SET: Final = sys.maxsize
"""A bound that is one of the settings, and looked at when the fields have been read."""
_ENDS: Final = (ProgressStatus.RUNNING, ProgressStatus.COMPLETED, ProgressStatus.FAILED, ProgressStatus.CANCELLED)

URL_PATTERN: Final = r"^(?:[Hh][Tt][Tt][Pp][Ss]?://|/(?![/\\]))[!-~]*$"
"""Nothing that a page would run (`javascript:`), or that leads to another server without saying so (`//`)."""
_URL: Final = re.compile(URL_PATTERN)


@frozen(kw_only=True)
class SendFields:
    """The fields of `notification.send`."""

    title: str = wire(read_text)
    kind: str = wire(text(NAME_LENGTH), default="message")
    level: str = wire(one_of(*Level), default=Level.INFO.value)
    user: str | None = wire(text(USER_LENGTH), default=None)
    workspace: str | None = wire(text(USER_LENGTH), default=None)
    body: str | None = wire(read_text, default=None)
    actions: tuple[Action, ...] = wire(items(nested(Action), _SET, least=0), default=())
    data: Json = wire(any_json, default=None)
    key: str | None = wire(text(KEY_LENGTH), default=None)
    persistent: bool = wire(flag, default=False)
    progress: float | None = wire(number(0, 100), default=None)
    expires_after: float | None = wire(number(SHORTEST_SECONDS), default=None)
    escalate: tuple[Step, ...] = wire(items(nested(Step), _SET, least=0), default=())
    receipts: bool = wire(flag, default=False)
    idempotency_key: str | None = wire(text(KEY_LENGTH), default=None)


@frozen(kw_only=True)
class UpdateFields:
    """The fields of `notification.update`, but for which; what is None stays."""

    title: str | None = wire(read_text, default=None)
    body: str | None = wire(read_text, default=None)
    level: str | None = wire(one_of(*Level), default=None)
    progress: float | None = wire(number(0, 100), default=None)
    status: str | None = wire(one_of(*_ENDS), default=None)


@frozen(kw_only=True)
class Draft:
    """What is sent, but for its id and time."""

    place: Place
    fields: SendFields
    sender: Place | None
    settings: NotificationSettings
    limits: Limits
    attached: bool = False
    """Whether a block of this process tells its progress."""

    @classmethod
    def of(
        cls,
        fields: SendFields,
        settings: NotificationSettings,
        limits: Limits,
        *,
        sender: Place | None = None,
        workspace: str | None = DEFAULT_WORKSPACE,
        attached: bool = False,
    ) -> Draft:
        """
        Check what single fields do not say.

        Args:
            fields: As they were read.
            settings: Which kinds there are, and how much may be in it.
            limits: How large it may be.
            sender: The user who sends it; None: code in the server.
            workspace: Whose user is meant where the fields name no workspace.
            attached: Whether a block of this process tells its progress.

        Raises:
            RequestError: With the field's path, relative to the fields.
        """
        if fields.kind not in settings.kinds:
            raise _fault("kind", f"expected one of {', '.join(sorted(settings.kinds))}, got {show(fields.kind)}")
        check_texts(fields.title, fields.body, settings)
        if fields.user is None and fields.workspace is None:
            raise _fault("user", "expected a user, or a workspace, or both, got neither")
        place = Place(fields.workspace or workspace or "", fields.user)
        check_place(place)
        _check_actions(fields.actions, settings)
        _check_life(fields, settings)
        _check_steps(fields, place, settings)
        draft = cls(place=place, fields=fields, sender=sender, settings=settings, limits=limits, attached=attached)
        check_size(draft.notification("", 0.0), limits)
        return draft

    def notification(self, id: str, now: float) -> Notification:
        """What becomes of it."""
        fields = self.fields
        lives = self.settings.kept_seconds if fields.expires_after is None else fields.expires_after
        return Notification(
            id=id,
            place=self.place,
            kind=fields.kind,
            level=Level(fields.level),
            title=fields.title,
            body=fields.body,
            actions=fields.actions,
            data=fields.data,
            key=fields.key,
            persistent=fields.persistent,
            progress=None if fields.progress is None else Progress(value=fields.progress, attached=self.attached),
            created_at=now,
            ends_at=now + lives,
            expires=fields.expires_after is not None,
            sender=self.sender,
            receipts=fields.receipts,
            steps=fields.escalate,
        )


def check_size(notification: Notification, limits: Limits) -> None:
    """
    Raises:
        RequestError: If what was written in it, without what comes of it later, is too large.
    """
    written = evolve(
        notification,
        id="",
        created_at=0.0,
        ends_at=notification.ends_at - notification.created_at,
        updated_at=None,
        taken=None,
        copies=(),
    )
    size = len(json_dumps(document_of(written)))
    if size > limits.notification_bytes:
        limit = f"notification_bytes={limits.notification_bytes}"
        raise RequestError(ErrorCode.TOO_LARGE, f"notification of {size} bytes exceeds {limit}")


def check_place(place: Place) -> None:
    """
    Raises:
        RequestError: If it can have no channel.
    """
    for name, value in (("workspace", place.workspace), ("user", place.user)):
        if value is None:
            continue
        if not isinstance(value, str):  # from code
            raise _fault(name, f"expected text, got {show(value)}")
        try:
            channel_part(value)
        except ValueError as error:
            raise _fault(name, str(error)) from error
    try:
        _ = place.channel
    except ValueError as error:
        fits = place.user is not None and has_channel(Place(place.workspace, "-"))
        raise _fault("user" if fits else "workspace", str(error)) from error


def has_channel(place: Place) -> bool:
    """Whether `check_place` returns."""
    try:
        _ = place.channel
    except ValueError:
        return False
    return True


def check_texts(title: str | None, body: str | None, settings: NotificationSettings) -> None:
    """
    Raises:
        RequestError: If one is empty, or longer than it may be.
    """
    for name, value, most in (("title", title, settings.title_length), ("body", body, settings.body_length)):
        if value is not None and not 1 <= len(value) <= most:
            code = ErrorCode.TOO_LARGE if value else ErrorCode.MALFORMED
            expected = f"1 to {name}_length={most} characters"
            raise RequestError(code, f"{name}: expected {expected}, got {len(value)}", field=name)


def _check_count(name: str, count: int, setting: str, most: int) -> None:
    if count > most:
        message = f"{name}: expected at most {setting}={most}, got {count}"
        raise RequestError(ErrorCode.TOO_LARGE, message, field=name)


def _check_life(fields: SendFields, settings: NotificationSettings) -> None:
    """What is forgotten before it expires would have been told to live longer than it does."""
    kept, asked = settings.kept_seconds, fields.expires_after
    if asked is not None and asked > kept:
        raise _fault("expires_after", f"expected at most kept_seconds={kept:.15g}, got {asked:.15g}")


def _check_actions(actions: tuple[Action, ...], settings: NotificationSettings) -> None:
    _check_count("actions", len(actions), "actions", settings.actions)
    for index, action in enumerate(actions):
        if action.id in [each.id for each in actions[:index]]:
            raise _fault(f"actions[{index}].id", "another action has this id")
        if action.url is not None and not _URL.fullmatch(action.url):
            expected = "https:, http:, or a path such as /posts/7"
            # A link may hold a key: of it no more is repeated than its length.
            raise _fault(f"actions[{index}].url", f"expected {expected}, got text of {len(action.url)} characters")


def _check_steps(fields: SendFields, place: Place, settings: NotificationSettings) -> None:
    if not fields.escalate:
        return
    _check_count("escalate", len(fields.escalate), "escalation_steps", settings.escalation_steps)
    if place.user is None:
        raise _fault("escalate", "only what is sent to a user goes to another one")
    check_steps(fields.escalate, place.user)
    for index, step in enumerate(fields.escalate):
        try:
            check_place(Place(place.workspace, step.user))
        except RequestError as error:
            raise located(error, f"escalate[{index}]") from error
    ends = "kept_seconds" if fields.expires_after is None else "expires_after"
    lives = settings.kept_seconds if fields.expires_after is None else fields.expires_after
    for index, step in enumerate(fields.escalate):
        if step.after >= lives:  # it would be gone by then, and nobody in line would ever hear of it
            raise _fault(f"escalate[{index}].after", f"expected less than {ends}={lives:.15g}, got {step.after:.15g}")


def _fault(field: str, message: str) -> RequestError:
    return RequestError(ErrorCode.MALFORMED, f"{field}: {message}", field=field)


def located(error: RequestError, path: str) -> RequestError:
    """An error whose field stands within another one."""
    if error.field is None:
        return error
    return RequestError(
        error.code, f"{path}.{error.message}", retry_after=error.retry_after, field=f"{path}.{error.field}"
    )


def fields_of(arguments: dict[str, Any]) -> dict[str, Json]:
    """Arguments of a call as the wire has them: pairs of an escalation and actions may come as they are."""
    fields = dict(arguments)
    for name, read in (("escalate", _step), ("actions", _action)):
        given = arguments.get(name)
        if not isinstance(given, Iterable | None):
            raise _fault(name, f"expected several, such as a list, got {show(given)}")
        fields[name] = [read(each) for each in given or ()]
    return fields


def _step(given: Any) -> Any:
    if isinstance(given, Step):
        given = (given.user, given.after)
    return {"user": given[0], "after": given[1]} if isinstance(given, tuple | list) and len(given) == 2 else given


def _action(given: Any) -> Any:
    return {"id": given.id, "label": given.label, "url": given.url} if isinstance(given, Action) else given
