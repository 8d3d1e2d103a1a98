"""
The chooser: the compiled twins where they were built, the Python ones otherwise.

It is all or nothing, decided once, when this package is first imported, by the environment variable
`RTCORE_EXTENSIONS`:

- `auto` (the default): compiled if they were built, pure if none was;
- `required`: compiled, or the import fails;
- `off`: pure.

Only the absence of a twin is forgiven. One that is there and cannot be loaded raises, and so does a build that has some
twins and lacks others: a broken build is never mistaken for a machine without a compiler.

A new family is one line in `FAMILIES` and one in `__init__.pyi`.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

FAMILIES = (
    "batch_encoder",
    "deflate",
    "event_ring",
    "fan_out",
    "filter_program",
    "frame_exchange",
    "frame_outbox",
    "frame_writer",
    "framing",
    "json_text",
    "masking",
    "peer_events",
    "request_head",
    "socket_table",
    "token_bucket",
    "traffic",
    "utf8",
)
"""Modules that exist in `rtcore._pure` and, compiled, in `rtcore._fast`."""


def _import_compiled(family: str) -> ModuleType | None:
    name = f"{__name__}.{family}"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None


def _choose(wanted: str) -> tuple[str, dict[str, ModuleType]]:
    """Import every family; the name of the implementation comes with them."""
    if wanted not in ("auto", "required", "off"):
        raise ImportError(f"RTCORE_EXTENSIONS must be auto, required or off, got {wanted!r}")
    found = {} if wanted == "off" else {family: _import_compiled(family) for family in FAMILIES}
    compiled = {family: module for family, module in found.items() if module is not None}
    missing = [family for family in FAMILIES if family not in compiled]
    if not missing:
        return "compiled", compiled
    if wanted == "required":
        raise ImportError(f"RTCORE_EXTENSIONS=required, but these were not built: {', '.join(missing)}")
    if compiled:
        raise ImportError(f"the build is not complete: {', '.join(missing)} missing beside {', '.join(compiled)}")
    return "pure", {family: import_module(f"rtcore._pure.{family}") for family in FAMILIES}


IMPLEMENTATION, _modules = _choose(os.environ.get("RTCORE_EXTENSIONS", "auto"))
"""Which twins serve: `compiled` or `pure`."""

_exports = {name: getattr(module, name) for module in _modules.values() for name in module.__all__}
globals().update(_exports)

__all__ = sorted(["FAMILIES", "IMPLEMENTATION", *_exports])  # noqa: PLE0605  # the families say what they export
