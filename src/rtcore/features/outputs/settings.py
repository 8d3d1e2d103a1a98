"""What can be set of outputs."""

from __future__ import annotations

from attrs import field, frozen

from rtcore.values.rules import each, name_set, number, text, whole

__all__ = ["OutputSettings"]


@frozen(kw_only=True)
class OutputSettings:
    """Settings of outputs."""

    chunk_seconds: float = field(default=0.05, validator=number())
    """Least time between two chunks of one output: what is written meanwhile goes together. The first goes at once."""
    chunk_bytes: int = field(default=4096, validator=whole(1))
    """Bytes that do not wait for the time to pass."""
    kept_bytes: int = field(default=1_048_576, validator=whole(1))
    """Bytes of one output that are kept for readers who come late: of text as UTF-8, of items as JSON."""
    total_bytes: int = field(default=67_108_864, validator=whole(1))
    """Bytes of all outputs together: those that ended first are forgotten first, then what is oldest in the longest."""
    keep_seconds: float = field(default=300.0, validator=number(over=True))
    """How long an output is kept after its end."""
    outputs: int = field(default=1000, validator=whole(1))
    """Most outputs that run or are kept at once."""
    name_bytes: int = field(default=1000, validator=whole(1))
    """Bytes of an output's name; what is longer is cut off."""
    page_length: int = field(default=65_536, validator=whole(1))
    """Most characters or items of a page: of `output.read`, and of the state that subscribers are told."""
    page_bytes: int = field(default=65_536, validator=whole(1))
    """Most bytes of these as JSON, beside one character or item: clients close on messages that are too large."""
    cancel_roles: frozenset[str] = field(
        default=frozenset({"admin", "publisher"}), converter=name_set, validator=each(text())
    )
    """Roles that may cancel another's output; its owner always may."""
