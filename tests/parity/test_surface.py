"""
Both twins show the same surface: names, parameters, defaults, documentation.

Type checkers see only the Python source of a twin (its `.pyi` re-exports it), so a parameter that is renamed or left
out in a `.pyx` is theirs to miss and this test's to find.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import rtcore._fast as chooser

Both = Callable[[str], tuple[ModuleType, ModuleType]]

CONSTRUCTORS: dict[str, dict[str, Any]] = {
    "EventRing": {},
    "FanOut": {"write_bytes": 65536},
    "FilterProgram": {"conditions": (("type", ("in", ("text", "a"))),)},
    "FrameExchange": {"maximum_message_bytes": 1000},
    "FrameOutbox": {},
    "FrameParser": {"maximum_message_bytes": 1000},
    "MessageDeflater": {"window_bits": 12, "level": 1},
    "MessageInflater": {"window_bits": 12, "context_takeover": False, "maximum_bytes": 10},
    "MessageReceived": {"text": True, "data": b"a"},
    "PingReceived": {"payload": b"a"},
    "PongReceived": {"payload": b"a"},
    "RequestHead": {
        "method": "GET",
        "target": "/a?b",
        "path": "/a",
        "query": "b",
        "version": "1.1",
        "headers": (("host", "a"),),
    },
    "SlotGroup": {},
    "SocketTable": {},
    "TokenBucket": {"rate": 1.0, "burst": 1, "now": 0.0},
    "Traffic": {},
    "Utf8Validator": {},
}
"""Good arguments for each class: what a compiled constructor accepts can only be found by calling it."""


MADE_BY_OTHERS = {"SlotOwner", "SocketSlot"}
"""A protocol, which the application implements, and what `SocketTable.add` makes."""


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    """Name, kind and default of each parameter."""
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def members(value: type) -> Iterator[str]:
    """Public names of a class."""
    return (name for name in dir(value) if not name.startswith("_"))


@pytest.mark.parametrize("family", chooser.FAMILIES)
def test_twins_export_the_same_names(load_both: Both, family: str) -> None:
    pure, compiled = load_both(family)
    assert pure.__all__ == compiled.__all__
    for name in pure.__all__:
        assert inspect.isclass(getattr(pure, name)) == inspect.isclass(getattr(compiled, name))


@pytest.mark.parametrize("family", chooser.FAMILIES)
def test_functions_and_methods_of_twins_take_the_same_arguments(load_both: Both, family: str) -> None:
    pure, compiled = load_both(family)
    for name in pure.__all__:
        one, other = getattr(pure, name), getattr(compiled, name)
        if not callable(one):
            assert one == other, name
        elif not inspect.isclass(one):
            assert parameters(one) == parameters(other), name
        else:
            for member in members(one):
                method = getattr(one, member)
                if inspect.isfunction(method):
                    assert parameters(method) == parameters(getattr(other, member)), f"{name}.{member}"


@pytest.mark.parametrize("family", chooser.FAMILIES)
def test_classes_of_twins_have_the_same_public_members(load_both: Both, family: str) -> None:
    pure, compiled = load_both(family)
    for name in pure.__all__:
        one, other = getattr(pure, name), getattr(compiled, name)
        if inspect.isclass(one):
            assert list(members(one)) == list(members(other)), name


@pytest.mark.parametrize("family", chooser.FAMILIES)
def test_constructors_of_twins_take_the_same_arguments(load_both: Both, family: str) -> None:
    pure, compiled = load_both(family)
    for name in pure.__all__:
        if not inspect.isclass(getattr(pure, name)) or name in MADE_BY_OTHERS:
            continue
        expected = parameters(getattr(pure, name))
        arguments = CONSTRUCTORS[name]
        assert {parameter for parameter, _, default in expected if default is inspect.Parameter.empty} <= set(arguments)
        for module in (pure, compiled):
            constructor = getattr(module, name)
            constructor(**arguments)
            constructor(*(arguments[parameter] for parameter, _, _ in expected if parameter in arguments))
            with pytest.raises(TypeError):
                constructor(**arguments, surplus=1)
            for parameter, _, default in expected:
                fewer = {key: value for key, value in arguments.items() if key != parameter}
                if default is inspect.Parameter.empty:
                    with pytest.raises(TypeError):
                        constructor(**fewer)
                else:
                    constructor(**fewer)


@pytest.mark.parametrize("family", chooser.FAMILIES)
def test_instances_of_twins_take_no_foreign_attributes(load_both: Both, family: str) -> None:
    """A compiled class has no room for them, so the Python one must not have it either."""
    for module in load_both(family):
        for name in module.__all__:
            if inspect.isclass(getattr(module, name)) and name not in MADE_BY_OTHERS:
                instance = getattr(module, name)(**CONSTRUCTORS[name])
                with pytest.raises(AttributeError):
                    instance.foreign = 1


@pytest.mark.parametrize("family", chooser.FAMILIES)
def test_all_that_twins_export_is_documented(load_both: Both, family: str) -> None:
    for module in load_both(family):
        assert module.__doc__
        for name in module.__all__:
            value = getattr(module, name)
            if not callable(value):
                continue
            assert value.__doc__, name
            if inspect.isclass(value):
                for member in members(value):
                    attribute = getattr(value, member)
                    assert not callable(attribute) or attribute.__doc__, f"{name}.{member}"
