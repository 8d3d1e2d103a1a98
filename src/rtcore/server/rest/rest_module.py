"""What the HTTP side of one feature consists of."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from rtcore.server.http_guard import RouteRule
from rtcore.server.openapi_writer import Document, OperationWriter
from rtcore.values.limits import Limits

__all__ = ["RestModule"]


@frozen(kw_only=True, eq=False)
class RestModule:
    """Routes, and what the OpenAPI document says of them."""

    rules: tuple[RouteRule, ...]
    paths: Callable[[OperationWriter, Limits], Document]
    """Path items, by path: as many operations as there are rules (`get` describes HEAD too)."""
    schemas: Callable[[Limits], Document]
    """Schemas of bodies, by name: `#/components/schemas/NAME`."""
