"""`POST /api/v1/revoke`."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from rtcore.errors import ErrorCode, RequestError
from rtcore.protocol.json_codec import json_loads
from rtcore.server.http_bodies import Fields, read_body, read_parameters
from rtcore.server.http_context import HttpContext
from rtcore.server.http_errors import JSONResponse
from rtcore.values.identity import Identity

__all__ = ["REVOKED_NAME_LENGTH", "revoke"]

REVOKED_NAME_LENGTH: Final = 255
"""Longest token id or user, in characters: as in tokens."""


async def revoke(context: HttpContext, request: Request, identity: Identity) -> Response:
    """Take a token, or all tokens of a user, out of service, and end their connections."""
    read_parameters(request, ())
    body = await read_body(request, context.limits)
    if context.revocations is None:
        raise RequestError(ErrorCode.NOT_FOUND, "there are no tokens to revoke: authentication is not configured")
    fields = Fields(json_loads(body, context.limits.json_depth))
    token_id, user = fields.optional_text("token_id"), fields.optional_text("user")
    fields.finish()
    if (token_id is None) == (user is None):
        got = "neither" if user is None else "both"
        raise RequestError(ErrorCode.MALFORMED, f"expected either token_id or user, got {got}", field="token_id")
    for name, value in (("token_id", token_id), ("user", user)):
        if value is not None and not 0 < len(value) <= REVOKED_NAME_LENGTH:
            expected = f"1 to {REVOKED_NAME_LENGTH} characters"
            raise RequestError(ErrorCode.MALFORMED, f"expected {expected}, got {len(value)}", field=name)
    if token_id is not None:
        return JSONResponse({"token_id": token_id, "ended": context.revocations.revoke_token(token_id)})
    assert user is not None
    return JSONResponse({"user": user, "ended": context.revocations.revoke_user(user)})
