"""`POST /realtime/notifications/send`."""

from __future__ import annotations

from typing import Final

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.notifications.commands import draft_of
from rtcore.features.notifications.draft import KEY_LENGTH, URL_PATTERN, SendFields
from rtcore.features.notifications.notification import (
    LABEL_LENGTH,
    NAME_LENGTH,
    SHORTEST_SECONDS,
    URL_LENGTH,
    USER_LENGTH,
    Level,
    ProgressStatus,
)
from rtcore.features.notifications.notification_json import to_wire
from rtcore.features.notifications.notifications import Notifications
from rtcore.features.notifications.sending import Request as SendRequest
from rtcore.features.notifications.settings import NotificationSettings
from rtcore.protocol.json_codec import json_dumps, json_loads
from rtcore.protocol.wire_fields import read_object
from rtcore.server.http_bodies import read_body, read_parameters
from rtcore.server.http_context import HttpContext
from rtcore.server.http_guard import Audience, RouteRule
from rtcore.server.http_publish import read_idempotency_key
from rtcore.server.openapi_schemas import reference
from rtcore.server.openapi_writer import Document, OperationWriter
from rtcore.server.rest.rest_module import RestModule
from rtcore.values.channels import CHANNEL_NAME_LENGTH
from rtcore.values.events import Json
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

__all__ = ["rest_module"]

_KEY_HEADER: Final = "Idempotency-Key"
_LEVELS: Final = tuple(level.value for level in Level)
_NAME_LIMIT: Final = (
    f"As in tokens. The name of the channel, with the workspace and the user in it, is at most {CHANNEL_NAME_LENGTH} "
    "characters; there each byte other than a letter, a digit, `_`, `.` and `-` counts three."
)
_STATUSES: Final = tuple(status.value for status in ProgressStatus)


def rest_module(notifications: Notifications) -> RestModule:
    """The HTTP side of notifications: what is sent with an Idempotency-Key is sent once, also over restarts."""

    async def send(context: HttpContext, request: Request, identity: Identity) -> Response:
        read_parameters(request, ())
        key = read_idempotency_key(context, request, identity)
        body = await read_body(request, context.limits)
        fields = read_object(json_loads(body, context.limits.json_depth), SendFields)
        if fields.idempotency_key is not None:
            message = "idempotency_key: over HTTP the key is the header Idempotency-Key"
            raise RequestError(ErrorCode.MALFORMED, message, field="idempotency_key")
        asked = None
        if key is not None:
            asked = SendRequest.of(key.owner, evolve(fields, idempotency_key=key.key))
        draft = draft_of(fields, identity, notifications.desk)
        try:
            notification, before = await notifications.sending.send(draft, asked)
        except RequestError as error:
            if error.code is ErrorCode.CONFLICT:
                error = RequestError(error.code, "the key came with another notification before", field=_KEY_HEADER)
            raise error
        headers = {"idempotent-replayed": "true"} if before else {}
        answer = json_dumps({"notification": to_wire(notification)})
        return Response(answer, headers=headers, media_type="application/json")

    settings = notifications.desk.settings
    return RestModule(
        rules=(RouteRule("POST", "/realtime/notifications/send", Audience.ADMITTED, send),),
        paths=_paths,
        schemas=lambda limits: _schemas(limits, settings),
    )


def _paths(writer: OperationWriter, limits: Limits) -> Document:
    return {
        "/realtime/notifications/send": writer.post(
            "Send a notification to a user or to a workspace; it is kept when this is answered",
            "sendNotification",
            "NotificationDraft",
            "NotificationSent",
            (409, 503),
            keyed=True,
        )
    }


def _schemas(limits: Limits, settings: NotificationSettings) -> Document:
    kinds: list[Json] = [*sorted(settings.kinds)]
    return {
        "NotificationDraft": _draft(limits, settings, kinds),
        "NotificationSent": _object({"notification": reference("Notification")}, "notification"),
        "NotificationAction": _object(
            {
                "id": _text(NAME_LENGTH),
                "label": _text(LABEL_LENGTH),
                "url": {**_text(URL_LENGTH, null=True), "pattern": URL_PATTERN},
            },
            "id",
            "label",
        ),
        "Notification": _notification(kinds),
    }


def _draft(limits: Limits, settings: NotificationSettings, kinds: list[Json]) -> Document:
    after: Document = {"type": "number", "minimum": SHORTEST_SECONDS, "exclusiveMaximum": settings.kept_seconds}
    expires: Document = {"minimum": SHORTEST_SECONDS, "maximum": settings.kept_seconds}
    step = _object({"user": _name(), "after": after}, "user", "after")
    draft = _object(
        {
            "title": _text(settings.title_length),
            "kind": {"enum": [*kinds, None]},
            "level": {"enum": [*_LEVELS, None]},
            "user": _name(null=True),
            "workspace": {**_text(USER_LENGTH, null=True), "description": "The token's own, whatever its roles."},
            "body": _text(settings.body_length, null=True),
            "actions": {
                **_list(reference("NotificationAction"), settings.actions),
                "description": "Each with an id of its own.",
            },
            "data": {"description": "Any JSON."},
            "key": _text(KEY_LENGTH, null=True),
            "persistent": {"type": ["boolean", "null"]},
            "progress": {"type": ["number", "null"], "minimum": 0, "maximum": 100},
            "expires_after": {**expires, "type": ["number", "null"]},
            "escalate": {
                **_list(step, settings.escalation_steps),
                "description": "To a user only; other users than that one, each once, at times that grow, before it "
                "expires.",
            },
            "receipts": {"type": ["boolean", "null"], "description": "Only with a token that says whose."},
        },
        "title",
    )
    draft["description"] = f"With a user, a workspace or both; at most {limits.notification_bytes} bytes as it is kept."
    return draft


def _notification(kinds: list[Json]) -> Document:
    text: Document = {"type": "string"}
    time: Document = {"type": "string", "format": "date-time"}
    required: Document = {
        "id": text,
        "workspace": text,
        "kind": {"enum": kinds},
        "level": {"enum": [*_LEVELS]},
        "title": text,
        "persistent": {"type": "boolean"},
        "created_at": time,
    }
    optional: Document = {
        "user": {**text, "description": "Left out where it is for everybody in the workspace."},
        "body": text,
        "actions": {"type": "array", "items": reference("NotificationAction")},
        "data": {"description": "Any JSON."},
        "key": text,
        "progress": _object({"value": {"type": "number"}, "status": {"enum": [*_STATUSES]}}, "value", "status"),
        "sender": text,
        "expires_at": time,
        "escalates_at": time,
    }
    return _object({**required, **optional}, *required)


def _text(most: int, *, null: bool = False) -> Document:
    return {"type": ["string", "null"] if null else "string", "minLength": 1, "maxLength": most}


def _name(*, null: bool = False) -> Document:
    return {**_text(USER_LENGTH, null=null), "description": _NAME_LIMIT}


def _list(each: Json, most: int) -> Document:
    return {"type": ["array", "null"], "maxItems": most, "items": each}


def _object(properties: Document, *required: str) -> Document:
    names: list[Json] = [*required]
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}
