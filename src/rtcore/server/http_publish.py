"""`POST /api/v1/publish` and `POST /api/v1/publish/batch`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.publication import outcome_data
from rtcore.hub.results import PublishOutcome
from rtcore.protocol.envelope import encode_event_body
from rtcore.protocol.json_codec import json_kept, json_loads
from rtcore.server.http_bodies import Fields, read_body, read_parameters
from rtcore.server.http_context import HttpContext
from rtcore.server.http_errors import HTTP_STATUS, error_response
from rtcore.server.http_guard import client_name
from rtcore.server.idempotency import IdempotencyKey, StoredReply, fingerprint
from rtcore.values.channels import check_channel_name
from rtcore.values.events import Json, Lane, check_event_type
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

__all__ = [
    "KEY_LENGTH",
    "LANES",
    "answer_once",
    "publish",
    "publish_batch",
    "read_idempotency_key",
    "stored_response",
]

LANES: Final = {lane.name.lower(): lane for lane in Lane}

KEY_LENGTH: Final = 255
"""Longest conflation key, in characters, as the hub has it."""

_LARGEST_OFFSET: Final = 10**18
"""Stands for an offset that is not known yet, so that no later one is longer."""


@frozen(kw_only=True)
class _Publication:
    channel: str
    type: str
    data: Json
    lane: Lane | None
    key: str | None


async def publish(context: HttpContext, request: Request, identity: Identity) -> Response:
    """Publish one event and say what became of it."""

    def carry_out(body: bytes) -> bytes:
        publication = _read(json_loads(body, context.limits.json_depth), "", context, identity)
        return json_kept(outcome_data(_publish(context, publication)))

    return await answer_once(context, request, identity, carry_out)


async def publish_batch(context: HttpContext, request: Request, identity: Identity) -> Response:
    """
    Publish several events, in order: each is checked before the first one is published.

    Should one fail nevertheless, because the hub has no room for another channel, then the error names it; those before
    it are published, and the same request with the same key gets the same error.
    """

    def carry_out(body: bytes) -> bytes:
        fields = Fields(json_loads(body, context.limits.json_depth))
        items = fields.items("events")
        fields.finish()
        most = context.limits.publish_batch_events
        if not 0 < len(items) <= most:
            code = ErrorCode.TOO_LARGE if items else ErrorCode.MALFORMED
            problem = f"a batch must have 1 to publish_batch_events={most} events, got {len(items)}"
            raise RequestError(code, problem, field="events")
        publications = [_read(item, f"events[{index}]", context, identity) for index, item in enumerate(items)]
        return json_kept({"outcomes": _publish_all(context, publications)})

    return await answer_once(context, request, identity, carry_out)


class _PartlyDone(Exception):
    """Events were published before one failed."""

    def __init__(self, error: RequestError) -> None:
        super().__init__(str(error))
        self.error = error


async def answer_once(
    context: HttpContext, request: Request, identity: Identity, carry_out: Callable[[bytes], bytes]
) -> Response:
    """
    Carry out what a body asks for and answer with JSON; with an `Idempotency-Key`, once.

    Args:
        context: Keeps replies by key.
        request: Without parameters.
        identity: Whose request, and so whose key.
        carry_out: From body to reply, at once; what it refuses is not kept, and may be asked again.

    Raises:
        RequestError: As `carry_out`; or if body or key are not acceptable.
    """
    read_parameters(request, ())
    key = read_idempotency_key(context, request, identity)
    body = await read_body(request, context.limits)
    # From here on nothing waits, so two requests with one key cannot overtake each other between asking and keeping.
    digest = fingerprint(request.url.path, body)
    stored = context.idempotency.find(key, digest) if key is not None else None
    if stored is not None:
        return stored_response(stored, replayed=True)
    try:
        reply = StoredReply(status=200, body=carry_out(body))
    except _PartlyDone as partly:
        reply = StoredReply(status=HTTP_STATUS[partly.error.code], body=bytes(error_response(partly.error).body))
    if key is not None:
        context.idempotency.keep(key, digest, reply)
    return stored_response(reply, replayed=False)


def read_idempotency_key(context: HttpContext, request: Request, identity: Identity) -> IdempotencyKey | None:
    """
    The `Idempotency-Key` of a request, and whose it is; None where there is none.

    Raises:
        RequestError: If it comes twice, or cannot be one.
    """
    values = request.headers.getlist("idempotency-key")
    if not values:
        return None
    if len(values) > 1:
        raise RequestError(ErrorCode.MALFORMED, "the header comes twice", field="Idempotency-Key")
    return IdempotencyKey.read(client_name(context, request, identity), values[0])


def stored_response(stored: StoredReply, *, replayed: bool) -> Response:
    """A reply as it is sent; `replayed`: it is that of an earlier request."""
    headers = {"idempotent-replayed": "true"} if replayed else {}
    return Response(stored.body, status_code=stored.status, headers=headers, media_type="application/json")


def _read(value: Json, path: str, context: HttpContext, identity: Identity) -> _Publication:
    fields = Fields(value, path)
    lane = fields.choice("lane", LANES)
    publication = _Publication(
        channel=fields.text("channel"),
        type=fields.text("type"),
        data=fields.any("data"),
        lane=None if lane is None else LANES[lane],
        key=fields.optional_text("key"),
    )
    fields.finish()
    _check(publication, fields, context.limits)
    context.hub.access.check_publish(identity, publication.channel, field=fields.field("channel"))
    return publication


def _check(publication: _Publication, fields: Fields, limits: Limits) -> None:
    """Everything that the hub would refuse, so that a batch is refused before any of it is published."""
    try:
        check_channel_name(publication.channel)
    except ValueError as error:
        raise RequestError(ErrorCode.MALFORMED, str(error), field=fields.field("channel")) from error
    try:
        check_event_type(publication.type, limits.type_length)
    except ValueError as error:
        raise RequestError(ErrorCode.MALFORMED, str(error), field=fields.field("type")) from error
    if publication.key is not None and not 0 < len(publication.key) <= KEY_LENGTH:
        problem = f"a key must have 1 to {KEY_LENGTH} characters, got {len(publication.key)}"
        raise RequestError(ErrorCode.MALFORMED, problem, field=fields.field("key"))
    if limits.message_bytes < limits.publish_body_bytes * 5:  # a number in JSON may be written up to 5 times as long
        size = len(
            encode_event_body(
                publication.channel, publication.type, publication.data, 0.0, _LARGEST_OFFSET, publication.key
            )
        )
        if size > limits.message_bytes:
            raise RequestError(
                ErrorCode.TOO_LARGE,
                f"event of {size} bytes exceeds message_bytes={limits.message_bytes}",
                field=fields.field("data"),
            )


def _publish(context: HttpContext, publication: _Publication) -> PublishOutcome:
    return context.hub.publish(
        publication.channel, publication.type, publication.data, lane=publication.lane, key=publication.key
    )


def _publish_all(context: HttpContext, publications: list[_Publication]) -> list[Json]:
    outcomes: list[Json] = []
    for index, publication in enumerate(publications):
        try:
            outcomes.append(outcome_data(_publish(context, publication)))
        except RequestError as error:
            message = f"{error.message}; the {index} events before this one are published"
            located = RequestError(error.code, message, retry_after=error.retry_after, field=f"events[{index}]")
            raise (_PartlyDone(located) if index else located) from error
    return outcomes
