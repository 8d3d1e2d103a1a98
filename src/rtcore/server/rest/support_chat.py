"""The dashboard's snapshots under `/api/v1/admin/chat-dashboard`, for pages that have to poll."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.support_chat.chat_values import AgentStatus, MessageKind, MessageStatus, SessionStatus
from rtcore.features.support_chat.support_chat import SupportChat
from rtcore.server.http_bodies import read_parameters
from rtcore.server.http_context import HttpContext
from rtcore.server.http_errors import JSONResponse
from rtcore.server.http_guard import Audience, Handler, RouteRule
from rtcore.server.openapi_schemas import reference
from rtcore.server.openapi_writer import Document, OperationWriter, path_parameter
from rtcore.server.rest.rest_module import RestModule
from rtcore.values.events import Json
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

__all__ = ["rest_module"]

_BASE: Final = "/api/v1/admin/chat-dashboard"
_ID_LENGTH: Final = 200


def rest_module(chat: SupportChat) -> RestModule:
    """The routes of a support chat's dashboard."""

    def answering(document: Callable[[Identity], Json]) -> Handler:
        async def answer(context: HttpContext, request: Request, identity: Identity) -> Response:
            read_parameters(request, ())
            return JSONResponse(document(identity))

        return answer

    async def session(context: HttpContext, request: Request, identity: Identity) -> Response:
        read_parameters(request, ())
        session_id = str(request.path_params["sessionId"])
        if len(session_id) > _ID_LENGTH:
            problem = f"sessionId: expected at most {_ID_LENGTH} characters, got {len(session_id)}"
            raise RequestError(ErrorCode.NOT_FOUND, problem, field="sessionId")
        return JSONResponse(chat.session(identity, session_id, field="sessionId"))

    answers: dict[str, Handler] = {
        "/sessions": answering(lambda identity: {"active": chat.sessions(identity), "ended": chat.ended(identity)}),
        "/sessions/{sessionId}": session,
        "/queue": answering(lambda identity: dict(chat.queue(identity))),
        "/agents": answering(lambda identity: {"agents": chat.agents(identity)}),
        "/metrics": answering(lambda identity: dict(chat.metrics(identity))),
    }
    return RestModule(
        rules=tuple(RouteRule("GET", _BASE + path, Audience.ADMITTED, handler) for path, handler in answers.items()),
        paths=_paths,
        schemas=_schemas,
    )


# For the OpenAPI document


def _paths(writer: OperationWriter, limits: Limits) -> Document:
    def get(summary: str, name: str, schema: str, *errors: int) -> Document:
        return writer.get(summary, name, schema, (400, *errors), access="required")

    name: Document = {"type": "string", "minLength": 1, "maxLength": _ID_LENGTH}
    return {
        f"{_BASE}/sessions": get("The sessions of a support chat", "chatSessions", "ChatSessions"),
        f"{_BASE}/sessions/{{sessionId}}": {
            "parameters": [path_parameter("sessionId", name)],
            **get("One session with its messages", "chatSession", "ChatSession", 404),
        },
        f"{_BASE}/queue": get("Who waits for an agent", "chatQueue", "ChatQueue"),
        f"{_BASE}/agents": get("Agents and their performance", "chatAgents", "ChatAgents"),
        f"{_BASE}/metrics": get("Overview, satisfaction and messages", "chatMetrics", "ChatMetrics"),
    }


def _schemas(limits: Limits) -> Document:
    text: Json = {"type": "string"}
    maybe: Json = {"type": ["string", "null"]}
    time: Json = {"type": "string", "format": "date-time"}
    count: Json = {"type": "integer", "minimum": 0}
    amount: Json = {"type": "number", "minimum": 0}
    mean: Json = {"type": ["number", "null"]}
    message = _object(
        messageId=text,
        sender=text,
        fromAgent={"type": "boolean"},
        type={"enum": [kind.value for kind in MessageKind]},
        status={"enum": [status.value for status in MessageStatus]},
        text=text,
        timestamp=time,
    )
    session = _object(
        sessionId=text,
        customer=text,
        subject=text,
        status={"enum": [status.value for status in SessionStatus]},
        agentId=maybe,
        openedAt=time,
        endedAt={"anyOf": [time, {"type": "null"}]},
        waitSeconds=amount,
        unread=count,
        rating={"type": ["integer", "null"]},
        lastMessage={"anyOf": [reference("ChatMessage"), {"type": "null"}]},
    )
    assert isinstance(session["properties"], dict)
    session["properties"]["messages"] = _list("ChatMessage")
    return {
        "ChatMessage": message,
        "ChatSession": session,
        "ChatSessions": _object(active=_list("ChatSession"), ended=_list("ChatSession")),
        "ChatQueue": _object(waiting_sessions=_list("ChatSession"), queue_depth=count, average_wait_seconds=amount),
        "ChatAgent": _object(
            agentId=text,
            name=text,
            status={"enum": [status.value for status in AgentStatus]},
            sessionsHandled=count,
            averageTalkSeconds=mean,
            averageAnswerSeconds=mean,
            averageRating=mean,
        ),
        "ChatAgents": _object(agents=_list("ChatAgent")),
        "ChatMetrics": _object(
            overview=_object(
                activeSessions=count,
                waitingSessions=count,
                endedSessions=count,
                averageWaitSeconds=mean,
                agents=_object(**{status.value: count for status in AgentStatus}),
                agentPerformance=_list("ChatAgent"),
            ),
            satisfactionMetrics=_object(
                average=mean,
                count=count,
                distribution=_object(**{str(stars): count for stars in range(1, 6)}),
                trend={"type": "array", "items": _object(day=text, average=amount, count=count)},
            ),
            messageAnalytics=_object(
                total=count,
                byType=_object(**{kind.value: count for kind in MessageKind}),
                byStatus=_object(**{status.value: count for status in MessageStatus}),
                perHour={"type": "array", "items": _object(hour=time, count=count)},
            ),
        ),
    }


def _object(**properties: Json) -> Document:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(schema: str) -> Json:
    return {"type": "array", "items": reference(schema)}
