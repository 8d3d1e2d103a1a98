"""`POST|GET /api/v1/dashboard/alerts` and `DELETE /api/v1/dashboard/alerts/{id}`."""

from __future__ import annotations

from typing import Final

import trio
from starlette.requests import Request
from starlette.responses import Response

from rtcore.features.alerts.alert import AlertState, Severity
from rtcore.features.alerts.alerts import Alerts
from rtcore.features.alerts.announcements import CHANNEL
from rtcore.features.alerts.rule import DAYS_30, MESSAGE_LENGTH, RuleBody
from rtcore.features.alerts.rule_state import Phase
from rtcore.protocol.json_codec import json_kept, json_loads
from rtcore.protocol.wire_fields import read_object
from rtcore.server.http_bodies import read_body, read_parameters
from rtcore.server.http_context import HttpContext
from rtcore.server.http_errors import JSONResponse
from rtcore.server.http_guard import Audience, RouteRule, require_role
from rtcore.server.http_publish import read_idempotency_key, stored_response
from rtcore.server.idempotency import StoredReply, fingerprint
from rtcore.server.openapi_schemas import reference
from rtcore.server.openapi_writer import Document, OperationWriter, path_parameter
from rtcore.server.rest.rest_module import RestModule
from rtcore.values.events import Json
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

__all__ = ["rest_module"]

_PATH: Final = "/api/v1/dashboard/alerts"


def rest_module(alerts: Alerts) -> RestModule:
    """The HTTP side of alerts; changes need one of the roles of the settings, reading what the channel needs."""
    roles = alerts.settings.roles
    one_at_a_time = trio.Lock()

    async def add(context: HttpContext, request: Request, identity: Identity) -> Response:
        read_parameters(request, ())
        require_role(identity, roles)
        key = read_idempotency_key(context, request, identity)
        body = await read_body(request, context.limits)
        if key is None:
            return stored_response(await add_rule(context, body, identity), replayed=False)
        digest = fingerprint(request.url.path, body)
        async with one_at_a_time:  # the same request may come again while the first is being written
            stored = context.idempotency.find(key, digest)
            reply = stored or await add_rule(context, body, identity)
            if stored is None:
                context.idempotency.keep(key, digest, reply)
        return stored_response(reply, replayed=stored is not None)

    async def add_rule(context: HttpContext, body: bytes, identity: Identity) -> StoredReply:
        rule = read_object(json_loads(body, context.limits.json_depth), RuleBody)
        added = await alerts.add_rule(rule, by=identity.user)
        return StoredReply(status=200, body=json_kept(alerts.rule_document(added.id)))

    async def show(context: HttpContext, request: Request, identity: Identity) -> Response:
        read_parameters(request, ())
        context.hub.access.check_read(identity, CHANNEL)
        return JSONResponse(alerts.overview())

    async def remove(context: HttpContext, request: Request, identity: Identity) -> Response:
        read_parameters(request, ())
        require_role(identity, roles)
        rule_id = request.path_params["id"]
        await alerts.remove_rule(rule_id)
        return JSONResponse({"id": rule_id, "removed": True})

    return RestModule(
        rules=(
            RouteRule("POST", _PATH, Audience.ADMITTED, add),
            RouteRule("GET", _PATH, Audience.ADMITTED, show),
            RouteRule("DELETE", f"{_PATH}/{{id}}", Audience.ADMITTED, remove),
        ),
        paths=_paths,
        schemas=_schemas,
    )


def _paths(writer: OperationWriter, _limits: Limits) -> Document:
    summary = "Add an alert rule (who may is a setting: by default the roles admin and alert_manager)"
    return {
        _PATH: {
            **writer.get("Alerts, and their rules", "alerts", "AlertOverview", (400,), access="required"),
            **writer.post(summary, "addAlertRule", "AlertRuleBody", "AlertRule", (409, 503), keyed=True),
        },
        f"{_PATH}/{{id}}": {
            "parameters": [path_parameter("id", {"type": "string", "minLength": 1})],
            **writer.delete("Remove an alert rule (as for adding)", "removeAlertRule", "RemovedRule", (400, 404, 503)),
        },
    }


_TEXT: Final[Document] = {"type": "string"}
_TIME: Final[Document] = {"type": "string", "format": "date-time"}


def _object(properties: Document, optional: tuple[str, ...] = ()) -> Document:
    required: list[Json] = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _nullable(schema: Document) -> Document:
    return {"anyOf": [schema, {"type": "null"}]}


def _length(most: int) -> Document:
    return {"type": "string", "minLength": 1, "maxLength": most}


def _milliseconds(least: int, description: str) -> Document:
    return {"type": "integer", "minimum": least, "maximum": DAYS_30, "description": description}


def _rule_fields(limits: Limits) -> Document:
    condition = _length(limits.alert_condition_length) | {"description": "When it fires; see docs/features/alerts.md."}
    absent = _object(
        {
            "after": _milliseconds(1000, "Without a sample, in milliseconds."),
            "state": {"enum": ["firing", "resolved"], "description": "What the condition then counts as."},
        }
    )
    message = _length(MESSAGE_LENGTH) | {"description": "What to say, with $names of the condition's fields."}
    return {
        "name": _length(128) | {"description": "Unlike that of any other rule."},
        "condition": condition,
        "severity": {"enum": [severity.value for severity in Severity]},
        "channels": {"type": "array", "minItems": 0, "maxItems": 20, "items": _length(64)},
        "cooldown": _milliseconds(0, "Least time from one trigger to the next, in milliseconds."),
        "for": _milliseconds(0, "How long the condition must be true before the rule fires, in milliseconds."),
        "stream": _nullable(_length(255)),
        "message": _nullable(message),
        "absent": _nullable(absent),
        "notify_resolved": {"type": "boolean"},
    }


def _schemas(limits: Limits) -> Document:
    fields = _rule_fields(limits)
    needed = ("name", "condition", "severity")
    optional = tuple(name for name in fields if name not in needed)
    body: Document = {
        name: _nullable(schema) if name in optional and isinstance(schema, dict) and "anyOf" not in schema else schema
        for name, schema in fields.items()
    }
    state: Document = {
        "state": {"enum": [phase.value for phase in Phase]},
        "alert_id": _nullable(_TEXT),
        "silenced_until": _nullable(_TIME),
        "unknown": _nullable(_TEXT | {"description": "Why the condition is neither true nor false, with the column."}),
        "notes": {"type": "array", "items": _TEXT},
    }
    made: Document = {"created_at": _TIME, "created_by": _TEXT}
    return {
        "AlertRuleBody": _object(body, optional),
        "AlertRule": _object({"id": _TEXT, **fields, **made, **state}),
        "Alert": _alert(),
        "AlertOverview": _object(
            {
                "alerts": {"type": "array", "items": reference("Alert")},
                "resolved": {"type": "array", "items": reference("Alert")},
                "rules": {"type": "array", "items": reference("AlertRule")},
            }
        ),
        "RemovedRule": _object({"id": _TEXT, "removed": {"const": True}}),
    }


def _alert() -> Document:
    scalar: Document = {"type": ["number", "string", "boolean", "null"]}
    return _object(
        {
            "alert_id": _TEXT,
            "rule_id": _TEXT,
            "rule": _TEXT,
            "severity": {"enum": [severity.value for severity in Severity]},
            "condition": _TEXT,
            "message": _TEXT,
            "values": {"type": "object", "additionalProperties": scalar},
            "started_at": _TIME,
            "state": {"enum": [state.value for state in AlertState]},
            "silenced": {"type": "boolean"},
            "acknowledged_by": _nullable(_TEXT),
            "acknowledged_at": _nullable(_TIME),
            "note": _nullable(_TEXT),
            "resolved_at": _nullable(_TIME),
        }
    )
