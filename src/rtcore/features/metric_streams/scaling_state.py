"""How many of each component there are, and how many there should be. No Trio."""

from __future__ import annotations

from collections import OrderedDict

from attrs import frozen

from rtcore.values.events import Json, format_timestamp

__all__ = ["Component", "ScalingBoard"]


@frozen(kw_only=True)
class Component:
    """One kind of thing of which there can be more or fewer."""

    current: int
    """How many there are."""
    desired: int
    """How many there should be."""
    minimum: int | None
    maximum: int | None
    reason: str | None
    """Why that many, for people."""
    changed_at: float
    """When it was reported, in Unix seconds."""

    @property
    def status(self) -> str:
        """`scaling_up`, `scaling_down` or `stable`."""
        if self.current == self.desired:
            return "stable"
        return "scaling_up" if self.current < self.desired else "scaling_down"

    def document(self) -> dict[str, Json]:
        """The same as JSON."""
        return {
            "status": self.status,
            "current": self.current,
            "desired": self.desired,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "utilization": round(self.current / self.maximum, 4) if self.maximum else None,
            "reason": self.reason,
            "changed_at": format_timestamp(self.changed_at),
        }


class ScalingBoard:
    """
    Args:
        maximum: Most components; for one more, the one that was reported longest ago is forgotten.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._components: OrderedDict[str, Component] = OrderedDict()

    def report(self, name: str, component: Component) -> None:
        """Note how a component stands."""
        if name not in self._components and len(self._components) >= self._maximum:
            self._components.popitem(last=False)
        self._components[name] = component
        self._components.move_to_end(name)

    def document(self) -> dict[str, Json]:
        """The sample."""
        components = self._components
        return {
            "component_count": len(components),
            "scaling_count": sum(each.status != "stable" for each in components.values()),
            "components": {name: components[name].document() for name in sorted(components)},
        }
