"""`GET /api/v1/approvals` and `POST /api/v1/approvals/{approval_id}/decision`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from rtcore.features.approvals.approval import Choice, Outcome
from rtcore.features.approvals.approval_json import text_of
from rtcore.features.approvals.approval_pages import STATUSES, page_to_wire
from rtcore.features.approvals.approval_state import can_decide
from rtcore.features.approvals.approvals import Approvals
from rtcore.features.approvals.question import channel_of, workspace_of
from rtcore.features.approvals.settings import ApprovalSettings
from rtcore.protocol.command_fields import read_text
from rtcore.protocol.json_codec import json_fragment, json_loads
from rtcore.protocol.wire_fields import one_of, read_object, wire
from rtcore.server.http_bodies import read_body, read_parameters, whole_parameter
from rtcore.server.http_context import HttpContext
from rtcore.server.http_errors import JSONResponse
from rtcore.server.http_guard import Audience, RouteRule
from rtcore.server.openapi_schemas import reference
from rtcore.server.openapi_writer import Document, OperationWriter, path_parameter
from rtcore.server.rest.rest_module import RestModule
from rtcore.values.events import Json
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

__all__ = ["rest_module"]

_PARAMETERS: Final = ("status", "after", "limit")
_CHOICES: Final[list[Json]] = [choice.value for choice in Choice]
_OUTCOMES: Final[list[Json]] = [outcome.value for outcome in Outcome]


@frozen(kw_only=True)
class _DecisionBody:
    decision: str = wire(one_of(*Choice))
    reason: str | None = wire(read_text, default=None)


def rest_module(approvals: Approvals) -> RestModule:
    """The HTTP side of approvals: a client sees and decides those of its own workspace."""

    async def listing(context: HttpContext, request: Request, identity: Identity) -> Response:
        parameters = read_parameters(request, _PARAMETERS)
        workspace = workspace_of(identity)
        context.hub.access.check_read(identity, channel_of(workspace))
        page = await approvals.page(
            workspace,
            status=parameters.get("status", "open"),
            after=parameters.get("after"),
            limit=_limit(parameters, approvals.settings.page_approvals),
        )
        return JSONResponse(page_to_wire(page, identity))

    async def decide(context: HttpContext, request: Request, identity: Identity) -> Response:
        read_parameters(request, ())
        text = await read_body(request, context.limits)
        body = read_object(json_loads(text, context.limits.json_depth), _DecisionBody)
        approval = await approvals.decide(
            request.path_params["approval_id"], identity=identity, decision=body.decision, reason=body.reason
        )
        shown = text_of(approval, can_decide=can_decide(approval, identity))
        return JSONResponse({"approval": json_fragment(shown)})

    return RestModule(
        rules=(
            RouteRule("GET", "/api/v1/approvals", Audience.ADMITTED, listing),
            RouteRule("POST", "/api/v1/approvals/{approval_id}/decision", Audience.ADMITTED, decide),
        ),
        paths=partial(_paths, approvals.settings),
        schemas=lambda limits: _schemas(approvals.settings),
    )


def _limit(parameters: Mapping[str, str], most: int) -> int | None:
    text = parameters.get("limit")
    return None if text is None else whole_parameter("limit", text, 1, most, setting="page_approvals")


def _paths(settings: ApprovalSettings, writer: OperationWriter, limits: Limits) -> Document:
    most = settings.page_approvals
    identifier: Document = {"type": "string", "minLength": 1}
    parameters: list[Json] = [
        {"name": "status", "in": "query", "schema": {"enum": [*STATUSES], "default": "open"}},
        {
            "name": "after",
            "in": "query",
            "description": "Only what comes behind this approval: the last one of the page before, kept yet or not.",
            "schema": {"type": "string", "pattern": "^[0-9a-f]{11,12}-[0-9a-f]{16}$"},
        },
        {
            "name": "limit",
            "in": "query",
            "schema": {"type": "integer", "minimum": 1, "maximum": most, "default": most},
        },
    ]
    return {
        "/api/v1/approvals": writer.get(
            "Approvals of your workspace: open ones as long as they wait, ended ones the newest first",
            "approvals",
            "ApprovalPage",
            (400, 404, 503),
            access="required",
            parameters=parameters,
        ),
        "/api/v1/approvals/{approval_id}/decision": {
            "parameters": [path_parameter("approval_id", identifier)],
            **writer.post(
                "Vote on an approval; the vote is kept when this is answered",
                "decideApproval",
                "ApprovalDecision",
                "ApprovalDecided",
                (404, 409, 503),
            ),
        },
    }


def _schemas(settings: ApprovalSettings) -> Document:
    return {
        "ApprovalDecision": _object(
            {
                "decision": {"enum": _CHOICES},
                "reason": {"type": ["string", "null"], "minLength": 1, "maxLength": settings.reason_length},
            },
            "decision",
        ),
        "ApprovalDecided": _object({"approval": reference("Approval")}, "approval"),
        "ApprovalPage": _object(
            {
                "approvals": {"type": "array", "maxItems": settings.page_approvals, "items": reference("Approval")},
                "more": {"type": "boolean", "description": "Whether there are others behind the last one."},
            },
            "approvals",
            "more",
        ),
        "Approval": _approval(),
    }


def _approval() -> Document:
    text: Document = {"type": "string"}
    time: Document = {"type": "string", "format": "date-time"}
    names: Document = {"type": "array", "items": text}
    # No upper bounds: what was asked before they were set lower stays as it is.
    count: Document = {"type": "integer", "minimum": 1}
    vote = _object(
        {"user": text, "decision": {"enum": _CHOICES}, "at": time, "reason": text}, "user", "decision", "at"
    )
    ending = _object({"outcome": {"enum": _OUTCOMES}, "at": time, "by": text, "reason": text}, "outcome", "at")
    required: Document = {
        "approval_id": text,
        "workspace": text,
        "title": text,
        "status": {"enum": ["open", *_OUTCOMES]},
        "asked_at": time,
        "expires_at": time,
        "approvers": _object({"roles": names, "users": names}, "roles", "users"),
        "quorum": count,
        "rejections": count,
        "durable": {"type": "boolean"},
        "votes": {"type": "array", "items": vote},
        "can_decide": {"type": "boolean", "description": "Whether you could vote on it now."},
    }
    optional: Document = {
        "details": {"description": "Any JSON that helps to decide."},
        "asked_by": {**text, "description": "A user; left out where the server's own code asks."},
        "key": text,
        "decision": ending,
    }
    return _object({**required, **optional}, *required)


def _object(properties: Document, *required: str) -> Document:
    names: list[Json] = [*required]
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}
