"""
`value`: a class of frozen values that are made for each event or message.

`attrs.frozen` takes 2.4 times as long to make an instance as `attrs.define`, since each field is set past the guard
against setting it. So what is made on the way of each event is frozen for the type checker, which sees `attrs.frozen`,
and `attrs.define` when it runs. Source: "attrs: statically frozen classes", by the author of cattrs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen as value
else:
    from attrs import define as value

__all__ = ["value"]
