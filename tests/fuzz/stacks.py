"""
The protocol floor over each implementation, side by side in one process.

`rtcore._fast` chooses once per process. Here the modules above it are imported a second time over the Python twins, so
that one input can be given to both and what they make of it be compared.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType

from attrs import frozen

__all__ = ["Stack", "load_stacks"]

_PROTOCOL = ("command_codec", "compression", "connection_state", "envelope", "handshake", "header_grammar")


@frozen(kw_only=True)
class Stack:
    """What one implementation is made of."""

    name: str
    """`pure` or `compiled`."""
    fast: ModuleType
    """The chooser: everything that has twins."""
    command_codec: ModuleType
    compression: ModuleType
    connection_state: ModuleType
    envelope: ModuleType
    handshake: ModuleType
    header_grammar: ModuleType


def load_stacks() -> tuple[Stack, ...]:
    """The Python twins, and after them the compiled ones unless `RTCORE_EXTENSIONS` or the build left them out."""
    chosen = _import_stack()
    return (chosen,) if chosen.name == "pure" else (_import_pure(), chosen)


def _import_stack() -> Stack:
    fast = import_module("rtcore._fast")
    protocol = {name: import_module(f"rtcore.protocol.{name}") for name in _PROTOCOL}
    return Stack(name=fast.IMPLEMENTATION, fast=fast, **protocol)


def _import_pure() -> Stack:
    before = _take_chosen()
    wanted = os.environ.get("RTCORE_EXTENSIONS")
    os.environ["RTCORE_EXTENSIONS"] = "off"
    try:
        return _import_stack()
    finally:
        if wanted is None:
            del os.environ["RTCORE_EXTENSIONS"]
        else:
            os.environ["RTCORE_EXTENSIONS"] = wanted
        _take_chosen()
        _put_back(before)


def _take_chosen() -> dict[str, ModuleType]:
    """Forget the chooser and what was imported over it; errors and values are the same for both."""
    names = [name for name in sys.modules if name == "rtcore._fast" or f"{name}.".startswith("rtcore.protocol.")]
    return {name: sys.modules.pop(name) for name in names}


def _put_back(modules: dict[str, ModuleType]) -> None:
    sys.modules.update(modules)
    for name, module in modules.items():
        package, _, own = name.rpartition(".")
        setattr(sys.modules[package], own, module)  # an import binds a module to its package, too
