"""`POST /api/v1/admin/chat-dashboard/reports/VERB`: what an application reports of its support chat."""

from __future__ import annotations

from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import Response

from rtcore.features.support_chat.chat_values import AgentStatus, MessageKind, MessageStatus
from rtcore.features.support_chat.reported_text import NAME_LENGTH, SESSION_ID_PATTERN, TEXT_LENGTH
from rtcore.features.support_chat.reports import REPORTS, STARS, Report
from rtcore.features.support_chat.support_chat import SupportChat
from rtcore.protocol.json_codec import json_dumps, json_loads
from rtcore.protocol.wire_fields import read_object
from rtcore.server.http_context import HttpContext
from rtcore.server.http_guard import Audience, Handler, RouteRule, require_role
from rtcore.server.http_publish import answer_once
from rtcore.server.openapi_schemas import reference
from rtcore.server.openapi_writer import Document, OperationWriter
from rtcore.values.events import Json
from rtcore.values.identity import Identity

__all__ = ["BASE", "report_paths", "report_rules", "report_schemas"]

BASE: Final = "/api/v1/admin/chat-dashboard"

_SUMMARIES: Final = {
    "agent_status": "What an agent is doing",
    "assign": "An agent takes a session",
    "end_session": "A session is over",
    "mark_read": "An agent has read what there is",
    "message": "Somebody wrote",
    "message_status": "A message has come further",
    "open_session": "A customer begins to wait",
    "rate": "The customer says how it was",
    "stop_typing": "Somebody has stopped typing",
    "typing": "Somebody is typing",
}


def report_rules(chat: SupportChat) -> tuple[RouteRule, ...]:
    """A route for each verb; the body is the data of the command `support_chat.VERB`."""

    def reporting(kind: type[Report]) -> Handler:
        async def report(context: HttpContext, request: Request, identity: Identity) -> Response:
            require_role(identity, chat.settings.report_roles)

            def carry_out(body: bytes) -> bytes:
                return json_dumps(chat.report(identity, read_object(json_loads(body, context.limits.json_depth), kind)))

            return await answer_once(context, request, identity, carry_out)

        return report

    return tuple(
        RouteRule("POST", f"{BASE}/reports/{verb}", Audience.ADMITTED, reporting(kind))
        for verb, kind in REPORTS.items()
    )


# For the OpenAPI document


def report_paths(writer: OperationWriter) -> Document:
    """Path items."""
    return {
        f"{BASE}/reports/{verb}": writer.post(
            _SUMMARIES[verb], f"chat{_camel(verb)}", _body_name(verb), "ChatReported", (404, 409, 503), keyed=True
        )
        for verb in REPORTS
    }


def report_schemas() -> Document:
    """Schemas of the bodies, from the classes that read them, and of the answer."""
    reported: Document = {
        "type": "object",
        "properties": {
            "desk": {"type": "string"},
            "session": reference("ChatSession"),
            "message": reference("ChatMessage"),
            "agent": reference("ChatAgent"),
        },
        "required": ["desk"],
    }
    return {"ChatReported": reported, **{_body_name(verb): _body(verb, kind) for verb, kind in REPORTS.items()}}


_NAME: Final[Document] = {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH}
_FIELDS: Final[dict[str, Document]] = {
    "workspace": {**_NAME, "description": "The token's own; one that names none may name any."},
    "user": {**_NAME, "description": "For this user alone."},
    "session_id": _NAME,
    "customer": _NAME,
    "subject": {"type": "string", "maxLength": NAME_LENGTH},
    "agent_id": _NAME,
    "stars": {"type": "integer", "minimum": 1, "maximum": STARS},
    "message_id": _NAME,
    "sender": _NAME,
    "text": {"type": "string", "maxLength": TEXT_LENGTH},
    "kind": {"enum": [kind.value for kind in MessageKind]},
    "from_agent": {"type": "boolean"},
    "status": {"enum": [status.value for status in MessageStatus]},
    "name": _NAME,
    "open_session.session_id": {**_NAME, "pattern": SESSION_ID_PATTERN},
    "agent_status.status": {"enum": [status.value for status in AgentStatus]},
}
"""By name; by verb and name where a verb has its own."""


def _body(verb: str, kind: type[Report]) -> Document:
    properties: Document = {}
    required: list[Json] = []
    for field in attrs.fields(kind):
        schema = _FIELDS.get(f"{verb}.{field.name}") or _FIELDS[field.name]
        if field.default is attrs.NOTHING:
            required.append(field.name)
        else:
            schema = {"anyOf": [schema, {"type": "null"}]}
        properties[field.name] = schema
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _body_name(verb: str) -> str:
    return f"ChatReport{_camel(verb)}"


def _camel(verb: str) -> str:
    return verb.title().replace("_", "")
