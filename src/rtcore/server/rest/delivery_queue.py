"""`GET /api/v1/queues`, `GET /api/v1/queues/{name}` and `POST /api/v1/queues/{name}/jobs`."""

from __future__ import annotations

from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import Response

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.delivery_queue.commands import receipt_document, workspace_of
from rtcore.features.delivery_queue.delivery_queues import DeliveryQueues
from rtcore.features.delivery_queue.job import JobStatus, Priority
from rtcore.features.delivery_queue.job_fields import (
    NAME_PATTERN,
    JobFields,
    check_queue,
)
from rtcore.features.delivery_queue.put_requests import PutRequest
from rtcore.features.delivery_queue.settings import QueueSettings
from rtcore.features.delivery_queue.statistics import QueueStatistics
from rtcore.protocol.json_codec import json_loads
from rtcore.protocol.wire_fields import read_object
from rtcore.server.http_bodies import read_body, read_parameters
from rtcore.server.http_context import HttpContext
from rtcore.server.http_errors import JSONResponse
from rtcore.server.http_guard import Audience, RouteRule, require_role
from rtcore.server.http_publish import read_idempotency_key
from rtcore.server.openapi_schemas import reference
from rtcore.server.openapi_writer import Document, OperationWriter, path_parameter
from rtcore.server.rest.rest_module import RestModule
from rtcore.values.events import Json
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

__all__ = ["rest_module"]

_FRACTIONS: Final = ("rate", "oldest_seconds")
"""Figures that are no whole numbers."""


def rest_module(queues: DeliveryQueues) -> RestModule:
    """The HTTP side of queues: a client sees those of its own workspace."""
    settings = queues.settings
    anybody = settings.producer_roles | settings.consumer_roles | settings.manager_roles

    async def listing(context: HttpContext, request: Request, identity: Identity) -> Response:
        read_parameters(request, ())
        require_role(identity, anybody)
        found = queues.all(workspace_of(identity))
        return JSONResponse({"queues": [queue.statistics().document() for queue in found]})

    async def one(context: HttpContext, request: Request, identity: Identity) -> Response:
        read_parameters(request, ())
        require_role(identity, anybody)
        named = check_queue(request.path_params["name"], workspace_of(identity), field="name")
        queue = queues.find(*named)
        if queue is None:
            raise RequestError(ErrorCode.NOT_FOUND, "name: no such queue", field="name")
        return JSONResponse(queue.statistics().document())

    async def put(context: HttpContext, request: Request, identity: Identity) -> Response:
        read_parameters(request, ())
        require_role(identity, settings.producer_roles)
        named = check_queue(request.path_params["name"], workspace_of(identity), field="name")
        key = read_idempotency_key(context, request, identity)
        body = await read_body(request, context.limits)
        job = read_object(json_loads(body, context.limits.json_depth), JobFields).new_job(settings, "")
        if key is None:
            (receipt,), before = await queues.find_or_make(named).intake.put([job]), False
        else:
            content = request.url.path.encode() + b"\0" + body
            asked = PutRequest.of(named.workspace, key.owner, key.key, content)
            receipt, before = await queues.put_once(named, job, asked)
        headers = {"idempotent-replayed": "true"} if before else {}
        return JSONResponse({"queue": named.name, **receipt_document(receipt)}, headers=headers)

    return RestModule(
        rules=(
            RouteRule("GET", "/api/v1/queues", Audience.ADMITTED, listing),
            RouteRule("GET", "/api/v1/queues/{name}", Audience.ADMITTED, one),
            RouteRule("POST", "/api/v1/queues/{name}/jobs", Audience.ADMITTED, put),
        ),
        paths=_paths,
        schemas=lambda limits: _schemas(settings),
    )


# For the OpenAPI document


def _paths(writer: OperationWriter, limits: Limits) -> Document:
    name = path_parameter("name", {"type": "string", "pattern": f"^{NAME_PATTERN}$"})
    return {
        "/api/v1/queues": writer.get(
            "The queues of your workspace", "queues", "QueueList", (400,), access="required"
        ),
        "/api/v1/queues/{name}": {
            "parameters": [name],
            **writer.get("One queue", "queue", "Queue", (400, 404, 413), access="required"),
        },
        "/api/v1/queues/{name}/jobs": {
            "parameters": [name],
            **writer.post(
                "Put a job; it is kept when this is answered, and will be done at least once",
                "putJob",
                "NewJob",
                "JobReceipt",
                (409, 503),
                keyed=True,
            ),
        },
    }


def _schemas(settings: QueueSettings) -> Document:
    text: Document = {"type": "string"}
    delay: Document = {"type": ["number", "null"], "minimum": 0, "maximum": settings.delay_seconds}
    figures: Document = {
        each.name: {"type": "number" if each.name in _FRACTIONS else "integer", "minimum": 0}
        for each in attrs.fields(QueueStatistics)
    }
    new_job: Document = {
        "data": {"description": "What is to be done: any JSON, null too."},
        "priority": {"enum": [*(each.value for each in Priority), None]},
        "key": {
            "type": ["string", "null"],
            "minLength": 1,
            "maxLength": settings.key_characters,
            "description": "Putting a job again with the same key does nothing, whatever its data.",
        },
        "delay": {**delay, "description": "Seconds."},
        "max_attempts": {"type": ["integer", "null"], "minimum": 1, "maximum": settings.job_attempts},
    }
    receipt: Document = {
        "queue": text,
        "job_id": text,
        "duplicate": {"type": "boolean", "description": "Whether a job with this key was there already."},
        "status": {"enum": [each.value for each in JobStatus]},
    }
    return {
        "NewJob": {**_object(new_job), "required": ["data"]},
        "JobReceipt": _object(receipt),
        "Queue": _object(figures | {"queue": text, "paused": {"type": "boolean"}}),
        "QueueList": _object({"queues": {"type": "array", "items": reference("Queue")}}),
    }


def _object(properties: Document) -> Document:
    required: list[Json] = [*properties]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
