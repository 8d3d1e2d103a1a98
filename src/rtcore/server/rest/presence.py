"""
`GET /realtime/presence/workspace/{workspaceId}`, `.../user/{userId}/workspace/{workspaceId}`, and the figures under
`/realtime/stats`.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from attrs import asdict
from starlette.requests import Request
from starlette.responses import Response

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.presence.appearance import ACTIVITIES, SHOWN_LENGTH, STATUSES, USER_LENGTH
from rtcore.features.presence.presence import Presence
from rtcore.protocol.json_codec import json_dumps
from rtcore.server.http_bodies import read_parameters, whole_parameter
from rtcore.server.http_context import HttpContext
from rtcore.server.http_errors import JSONResponse
from rtcore.server.http_guard import Audience, RouteRule
from rtcore.server.http_statistics import realtime_document
from rtcore.server.openapi_schemas import reference
from rtcore.server.openapi_writer import Document, OperationWriter, path_parameter
from rtcore.server.rest.rest_module import RestModule
from rtcore.values.channels import find_own_channel
from rtcore.values.events import Json, format_timestamp
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

__all__ = ["rest_module"]

_WORKSPACE_PATH: Final = "/realtime/presence/workspace/{workspaceId}"
_STATISTICS_PATH: Final = "/realtime/stats"
_COUNT_PATH: Final = "/realtime/stats/workspace/{workspaceId}"
_USER_PATH: Final = "/realtime/presence/user/{userId}/workspace/{workspaceId}"
_WORKSPACE: Final[Document] = {"type": "string", "minLength": 1, "maxLength": USER_LENGTH}
_USER: Final[Document] = {"type": "string", "minLength": 1, "maxLength": SHOWN_LENGTH}


def rest_module(presence: Presence) -> RestModule:
    """The HTTP side of presence."""
    return RestModule(
        rules=(
            RouteRule("GET", _WORKSPACE_PATH, Audience.ADMITTED, partial(_workspace, presence)),
            RouteRule("GET", _USER_PATH, Audience.ADMITTED, partial(_user, presence)),
            RouteRule("GET", _STATISTICS_PATH, Audience.METRICS, partial(_statistics, presence)),
            RouteRule("GET", _COUNT_PATH, Audience.ADMITTED, partial(_count, presence)),
        ),
        paths=partial(_paths, presence.settings.list_users_maximum),
        schemas=lambda limits: _schemas(),
    )


async def _workspace(presence: Presence, context: HttpContext, request: Request, identity: Identity) -> Response:
    """A page of those who are online or away."""
    workspace = _own_workspace(context, request, identity)
    parameters = read_parameters(request, ("after", "limit"))
    after = _name(parameters["after"], "after") if "after" in parameters else None
    limit = None
    if "limit" in parameters:
        most = presence.settings.list_users_maximum
        limit = whole_parameter("limit", parameters["limit"], 1, most, setting="list_users_maximum")
    page, position = presence.page(workspace, after=after, limit=limit), presence.position(workspace)
    around = json_dumps({"workspace_id": workspace, "position": None if position is None else str(position)})
    # The users have their JSON already; it only needs a place.
    return Response(around[:-1] + b"," + page.text()[1:], media_type="application/json")


async def _user(presence: Presence, context: HttpContext, request: Request, identity: Identity) -> Response:
    """How one user appears; offline where nothing is known of him."""
    workspace = _own_workspace(context, request, identity)
    user = _name(request.path_params["userId"], "userId")
    read_parameters(request, ())
    seen = presence.seen_by(identity, user, workspace)
    return JSONResponse({"workspace_id": workspace, **seen.record(), "connections": seen.connections})


async def _statistics(presence: Presence, context: HttpContext, request: Request, identity: Identity) -> Response:
    """What the hub and the server are doing, and who is present in all."""
    read_parameters(request, ())
    document = realtime_document(context.hub.statistics(), context.server.statistics(), context.clock())
    return JSONResponse({"realtime": document, "presence": asdict(presence.statistics(hidden=False))})


async def _count(presence: Presence, context: HttpContext, request: Request, identity: Identity) -> Response:
    """How many are present in one workspace."""
    workspace = _own_workspace(context, request, identity)
    read_parameters(request, ())
    present = presence.page(workspace, limit=1).total
    return JSONResponse({"workspace_id": workspace, "present": present, "timestamp": format_timestamp(context.clock())})


def _own_workspace(context: HttpContext, request: Request, identity: Identity) -> str:
    """The workspace of the path: the identity's own, whatever its roles, and one whose presence it may read."""
    workspace = _name(request.path_params["workspaceId"], "workspaceId", USER_LENGTH)
    if workspace != identity.workspace:
        raise RequestError(ErrorCode.DENIED, "not allowed to see who is in this workspace", field="workspaceId")
    channel = find_own_channel("presence", workspace)
    if channel is not None:  # of a workspace that can have none there is nothing to see
        context.hub.access.check_read(identity, channel, field="workspaceId")
    return workspace


def _name(value: str, field: str, most: int = SHOWN_LENGTH) -> str:
    if not 0 < len(value) <= most:
        raise _wrong(field, f"1 to {most} characters, got {len(value)}")
    return value


def _wrong(field: str, expected: str) -> RequestError:
    return RequestError(ErrorCode.MALFORMED, f"expected {expected}", field=field)


def _paths(most: int, writer: OperationWriter, limits: Limits) -> Document:
    workspace = path_parameter("workspaceId", _WORKSPACE)
    return {
        _WORKSPACE_PATH: {
            "parameters": [workspace],
            **writer.get(
                "Who is online or away in one's own workspace",
                "workspacePresence",
                "PresencePage",
                (400,),
                access="required",
                parameters=[
                    _query("after", "The user that the page before ended with.", _USER),
                    _query("limit", "Most users of the page.", {"type": "integer", "minimum": 1, "maximum": most}),
                ],
            ),
        },
        _STATISTICS_PATH: writer.get(
            "What the hub and the server are doing, with who is present in all",
            "realtimeStatistics",
            "RealtimeAndPresence",
            (400,),
            access=writer.measured,
        ),
        _COUNT_PATH: {
            "parameters": [workspace],
            **writer.get(
                "How many are present in one's own workspace",
                "workspaceStatistics",
                "WorkspaceStatistics",
                (400,),
                access="required",
            ),
        },
        _USER_PATH: {
            "parameters": [path_parameter("userId", _USER), workspace],
            **writer.get(
                "How one user appears in one's own workspace",
                "userPresence",
                "PresenceOfUser",
                (400,),
                access="required",
            ),
        },
    }


def _query(name: str, description: str, schema: Document) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _schemas() -> Document:
    nothing: Document = {"type": "null"}
    record: Document = {
        "user_id": {"type": "string"},
        "status": {"enum": list(STATUSES)},
        "page": {"type": ["string", "null"]},
        "activity": {"anyOf": [{"enum": list(ACTIVITIES)}, nothing]},
        "since": {"anyOf": [{"type": "string", "format": "date-time"}, nothing]},
    }
    workspace: Document = {"workspace_id": {"type": "string"}}
    count: Document = {"type": "integer", "minimum": 0}
    return {
        "RealtimeAndPresence": _object(
            {
                "realtime": reference("RealtimeStatistics"),
                "presence": _object(dict.fromkeys(("workspaces", "users", "connections", "lingering"), count)),
            }
        ),
        "WorkspaceStatistics": _object(
            {**workspace, "present": count, "timestamp": {"type": "string", "format": "date-time"}}
        ),
        "PresencePage": _object(
            {
                **workspace,
                "position": {"type": ["string", "null"], "description": "Of `presence:WORKSPACE`; opaque."},
                "users": {"type": "array", "items": reference("PresentUser")},
                "total": count,
                "more": {"type": "boolean"},
            }
        ),
        "PresentUser": _object(record),
        "PresenceOfUser": _object({**workspace, **record, "connections": count}),
    }


def _object(properties: Document) -> Document:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
