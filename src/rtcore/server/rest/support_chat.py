"""The dashboard's snapshots under `/api/v1/admin/chat-dashboard`, for pages that have to poll; and reports."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.support_chat.chat_values import AgentStatus, MessageKind, MessageStatus, SessionStatus
from rtcore.features.support_chat.outlook import LONGEST_PAGE, Outlook, SessionQuery
from rtcore.features.support_chat.reported_text import NAME_LENGTH
from rtcore.features.support_chat.support_chat import SupportChat
from rtcore.protocol.wire_fields import read_object
from rtcore.server.http_bodies import as_number, read_parameters
from rtcore.server.http_context import HttpContext
from rtcore.server.http_errors import JSONResponse
from rtcore.server.http_guard import Audience, Handler, RouteRule
from rtcore.server.openapi_schemas import reference
from rtcore.server.openapi_writer import Document, OperationWriter, path_parameter
from rtcore.server.rest.rest_module import RestModule
from rtcore.server.rest.support_chat_reports import BASE, report_paths, report_rules, report_schemas
from rtcore.values.channels import CHANNEL_NAME_LENGTH
from rtcore.values.events import Json
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

__all__ = ["rest_module"]


def rest_module(chat: SupportChat) -> RestModule:
    """The routes of a support chat's dashboard."""

    def answering(document: Callable[[Outlook], Json]) -> Handler:
        async def answer(context: HttpContext, request: Request, identity: Identity) -> Response:
            read_parameters(request, ())
            return JSONResponse(document(chat.outlook(identity)))

        return answer

    async def session(context: HttpContext, request: Request, identity: Identity) -> Response:
        return JSONResponse(_one(chat.outlook(identity).session(_query(request))))

    answers: dict[str, Handler] = {
        "/sessions": answering(_sessions),
        "/sessions/{sessionId}": session,
        "/queue": answering(lambda outlook: dict(outlook.queue())),
        "/agents": answering(lambda outlook: {"agents": outlook.agents()}),
        "/metrics": answering(lambda outlook: dict(outlook.metrics())),
    }
    return RestModule(
        rules=(
            *(RouteRule("GET", BASE + path, Audience.ADMITTED, handler) for path, handler in answers.items()),
            *report_rules(chat),
        ),
        paths=_paths,
        schemas=_schemas,
    )


def _sessions(outlook: Outlook) -> Json:
    return {"active": outlook.sessions(), "ended": outlook.ended()}


def _query(request: Request) -> SessionQuery:
    parameters = read_parameters(request, ("desk", "before", "limit"))
    given: dict[str, Json] = {name: as_number(text) if name == "limit" else text for name, text in parameters.items()}
    session_id = str(request.path_params["sessionId"])
    if len(session_id) > NAME_LENGTH:
        problem = f"sessionId: expected at most {NAME_LENGTH} characters, got {len(session_id)}"
        raise RequestError(ErrorCode.NOT_FOUND, problem, field="sessionId")
    return read_object({"sessionId": session_id, **given}, SessionQuery)


def _one(found: list[dict[str, Json]]) -> Json:
    if len(found) > 1:
        desks = ", ".join(str(session["desk"]) for session in found)
        raise RequestError(ErrorCode.CONFLICT, f"desk: several have a session of this id: {desks}", field="desk")
    return found[0]


# For the OpenAPI document


def _paths(writer: OperationWriter, limits: Limits) -> Document:
    def get(summary: str, name: str, schema: str, *errors: int, parameters: list[Json] | None = None) -> Document:
        return writer.get(summary, name, schema, (400, *errors), access="required", parameters=parameters)

    name: Document = {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH}
    return {
        f"{BASE}/sessions": get("The sessions of a support chat", "chatSessions", "ChatSessions"),
        f"{BASE}/sessions/{{sessionId}}": {
            "parameters": [path_parameter("sessionId", name)],
            **get(
                "One session with its messages",
                "chatSession",
                "ChatSessionPage",
                404,
                409,
                413,
                parameters=_page_parameters(),
            ),
        },
        f"{BASE}/queue": get("Who waits for an agent", "chatQueue", "ChatQueue"),
        f"{BASE}/agents": get("Agents and their performance", "chatAgents", "ChatAgents"),
        f"{BASE}/metrics": get("Overview, satisfaction and messages", "chatMetrics", "ChatMetrics"),
        **report_paths(writer),
    }


def _page_parameters() -> list[Json]:
    desk: Document = {"type": "string", "minLength": 1, "maxLength": CHANNEL_NAME_LENGTH}
    before: Document = {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH}
    return [
        {"name": "desk", "in": "query", "description": "Where two desks have a session of this id.", "schema": desk},
        {"name": "before", "in": "query", "description": "The message that the page ends before.", "schema": before},
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE}},
    ]


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
        desk=text,
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
    page = _object(**session["properties"], messages=_list("ChatMessage"), more={"type": "boolean"})
    return {
        "ChatMessage": message,
        "ChatSession": session,
        "ChatSessionPage": page,
        "ChatSessions": _object(active=_list("ChatSession"), ended=_list("ChatSession")),
        "ChatQueue": _object(waiting_sessions=_list("ChatSession"), queue_depth=count, average_wait_seconds=amount),
        "ChatAgent": _object(
            desk=text,
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
        **report_schemas(),
    }


def _object(**properties: Json) -> Document:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(schema: str) -> Json:
    return {"type": "array", "items": reference(schema)}
