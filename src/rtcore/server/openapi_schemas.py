"""The JSON Schemas of the HTTP side's bodies, as OpenAPI components. Source: OpenAPI 3.1; JSON Schema 2020-12."""

from __future__ import annotations

from rtcore.errors import ErrorCode
from rtcore.hub.publication import outcome_data
from rtcore.hub.results import PublishOutcome
from rtcore.server.http_publish import KEY_LENGTH, LANES
from rtcore.server.http_revoke import REVOKED_NAME_LENGTH
from rtcore.server.openapi_filter import filter_schema
from rtcore.values.channels import CHANNEL_NAME_LENGTH
from rtcore.values.events import Json
from rtcore.values.limits import Limits

__all__ = ["CHANNEL_SCHEMA", "component_schemas", "reference"]

Schema = dict[str, Json]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_AMOUNT: Schema = {"type": "number", "minimum": 0}
_TIME: Schema = {"type": "string", "format": "date-time"}
_COUNTS: Schema = {"type": "object", "additionalProperties": _COUNT}
_POSITION: Schema = {"type": "string", "description": "Opaque: hand back what you last got."}

_TYPE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$"

CHANNEL_SCHEMA: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": CHANNEL_NAME_LENGTH,
    "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.:~-]*$",
}
"""A channel's name."""


def reference(name: str) -> Schema:
    """A reference to one of `component_schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}


def component_schemas(limits: Limits) -> dict[str, Json]:
    """All schemas by name."""
    return {
        "Error": _error(),
        "Status": _object({"status": {"enum": ["ok", "ready", "starting", "draining"]}}),
        "Publication": _publication(limits),
        "PublicationBatch": _object(
            {
                "events": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": limits.publish_batch_events,
                    "items": reference("Publication"),
                }
            }
        ),
        "Outcome": _outcome(),
        "Outcomes": _object({"outcomes": {"type": "array", "items": reference("Outcome")}}),
        "Event": _event(),
        "HistoryPage": _history_page(),
        "Filter": filter_schema(limits),
        "Revocation": _revocation(),
        "Revoked": _object(
            {"token_id": _TEXT, "user": _TEXT, "ended": {**_COUNT, "description": "Connections that were ended."}},
            optional=("token_id", "user"),
        ),
        "RealtimeStatistics": _realtime(),
        "SystemMetrics": _object(
            {"system": _system(), "websocket": reference("RealtimeStatistics"), "timestamp": _TIME}
        ),
    }


def _object(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _error() -> Schema:
    error = _object(
        {
            "code": {"enum": [code.value for code in ErrorCode]},
            "message": {**_TEXT, "description": "For people; may change."},
            "transient": {"type": "boolean", "description": "Whether the same request may succeed later."},
            "retry_after": _nullable({**_AMOUNT, "description": "Seconds to wait."}),
            "field": _nullable({**_TEXT, "description": "What is at fault, such as `events[3].channel`."}),
        }
    )
    return _object({"error": error})


def _publication(limits: Limits) -> Schema:
    return _object(
        {
            "channel": CHANNEL_SCHEMA,
            "type": {
                "type": "string",
                "minLength": 1,
                "maxLength": limits.type_length,
                "pattern": _TYPE_PATTERN,
                "description": "Kind of event, such as `task.progress`. The server's own message types are reserved.",
            },
            "data": {"description": f"Any JSON, at most {limits.json_depth} levels deep with the body around it."},
            "lane": {"enum": [*LANES, None], "description": "Priority; by default that of the type."},
            "key": {
                "type": ["string", "null"],
                "minLength": 1,
                "maxLength": KEY_LENGTH,
                "description": "Conflation key: a newer event of the same key may stand for this one.",
            },
        },
        optional=("lane", "key"),
    )


def _outcome() -> Schema:
    kinds: Schema = {"channel": _TEXT, "position": _POSITION, "offset": {"type": "integer", "minimum": 1}}
    return _object({name: kinds.get(name, _COUNT) for name in outcome_data(PublishOutcome("", "", 1, 0, 0, 0))})


def _event() -> Schema:
    return _object(
        {
            "type": _TEXT,
            "channel": _TEXT,
            "data": {},
            "timestamp": _TIME,
            "offset": {"type": "integer", "minimum": 1},
            "key": _TEXT,
            "position": _POSITION,
        },
        optional=("key",),
    )


def _history_page() -> Schema:
    return _object(
        {
            "channel": _TEXT,
            "events": {"type": "array", "items": reference("Event"), "description": "Oldest first."},
            "recovered": {
                "type": "boolean",
                "description": "Whether everything that was asked for is here or to be had from `position` on.",
            },
            "missing": {**_COUNT, "description": "Offsets that were asked for and are no longer held."},
            "position": {**_POSITION, "description": "Where to go on from: the next request's `position`."},
            "more": {"type": "boolean", "description": "Whether a limit cut the page short."},
        }
    )


def _revocation() -> Schema:
    name: Schema = {"type": "string", "minLength": 1, "maxLength": REVOKED_NAME_LENGTH}
    no: Schema = {"type": "null"}
    return {
        "oneOf": [
            _object({"token_id": {**name, "description": "The token's `jti`."}, "user": no}, optional=("user",)),
            _object(
                {"user": {**name, "description": "All tokens of this user."}, "token_id": no}, optional=("token_id",)
            ),
        ]
    }


def _realtime() -> Schema:
    quantile = _nullable(_AMOUNT)
    return _object(
        {
            "connections": _object({"active": _COUNT, "total": _COUNT, "maximum": _COUNT, "refused": _COUNTS}),
            "messages": _counts("received sent published delivered dropped conflated replayed"),
            "bytes": _counts("received sent"),
            "compression": _object({"bytes_in": _COUNT, "bytes_out": _COUNT, "bytes_saved": {"type": "integer"}}),
            **_figures("errors rate_limit_violations backpressure_clients"),
            "average_queue_depth": _AMOUNT,
            **_figures("queued_events queued_bytes slow_consumers_closed history_size history_bytes"),
            **_figures("channels subscribers subscriptions"),
            "events_by_type": _COUNTS,
            "delivery_latency": _object(
                {"count": _COUNT, "p50_seconds": quantile, "p95_seconds": quantile, "p99_seconds": quantile}
            ),
            "uptime_seconds": _AMOUNT,
            "timestamp": _TIME,
        }
    )


def _system() -> Schema:
    return _object(
        {
            "cpu": _object(
                {
                    "percent": _AMOUNT,
                    "count": _COUNT,
                    "load_average": {"type": "array", "items": _AMOUNT, "minItems": 3, "maxItems": 3},
                }
            ),
            "memory": _object(
                {**_figures("total available used swap_total swap_used"), "percent": _AMOUNT},
            ),
            "disk": _object(
                {
                    "path": _TEXT,
                    **_figures("total used free"),
                    "percent": _AMOUNT,
                    **_rates("read_bytes_per_second write_bytes_per_second"),
                }
            ),
            "network": _object(
                {
                    **_figures("received_bytes sent_bytes errors dropped"),
                    **_rates("received_bytes_per_second sent_bytes_per_second"),
                }
            ),
            "process": _object(
                {
                    **_figures("pid memory_bytes threads descriptors"),
                    **_rates("cpu_percent uptime_seconds"),
                }
            ),
        }
    )


def _counts(names: str) -> Schema:
    return _object(_figures(names))


def _figures(names: str) -> Schema:
    return dict.fromkeys(names.split(), _COUNT)


def _rates(names: str) -> Schema:
    return dict.fromkeys(names.split(), _AMOUNT)
