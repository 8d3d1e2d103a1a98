"""
Texts with `$names` in them.

A name stands for a text, looked up in a table as it is: dots are letters of the name, so nothing is reached
through it, and what is put in is not looked at again. `$$` is a dollar sign.
"""

from __future__ import annotations

import string
from collections.abc import Collection, Mapping

__all__ = ["fill", "unknown_names"]


class _Text(string.Template):
    """`$name`, `${name}`, and names with dots in them, such as `$cpu.percent`."""

    idpattern = r"(?a:[_a-z][_a-z0-9]*(?:\.[_a-z0-9]+)*)"


def fill(template: str, values: Mapping[str, str], maximum_length: int) -> str:
    """The text with the values put in, cut to a length; a name without a value stays as it is."""
    text = _Text(template).safe_substitute(values)
    return text if len(text) <= maximum_length else text[: maximum_length - 3] + "..."


def unknown_names(template: str, known: Collection[str]) -> list[str]:
    """
    The names of a template that have no value.

    Raises:
        ValueError: A dollar sign stands before something that is no name.
    """
    text = _Text(template)
    if not text.is_valid():
        raise ValueError("a dollar sign must be followed by a name, or by another dollar sign")
    return [name for name in text.get_identifiers() if name not in known]
