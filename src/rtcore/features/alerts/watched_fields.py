"""
The newest values of the fields that some rule names, and of some their history: nothing else is kept.

A name is looked up in a sample: as a key if there is one, otherwise by its dots from object to object. A rule that is
for one stream sees only that stream. A rule that is for none sees them all: `name` is then the newest value of that
name from whichever stream, and `stream.name` that of the one stream. A field that its stream leaves out of a newer
sample has no value any more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from attrs import define, field

from rtcore.features.alerts.evaluation import Scalar
from rtcore.features.alerts.expression import FieldNeeds
from rtcore.features.alerts.sample_window import SampleWindow, WindowView
from rtcore.values.events import Json

__all__ = ["FieldView", "WatchedFields"]

_EMPTY: Final = WindowView((), ())
_VIEWS: Final = 64
"""Most windows kept during one sample, up to 100 KB each."""


@define(eq=False)
class _WatchedField:
    """One name, of one stream or of any."""

    name: str
    latest: Scalar = None
    previous: Scalar = None
    stream: str | None = None
    """Where the newest value came from."""
    window: SampleWindow | None = None
    needs: dict[str, FieldNeeds] = field(factory=dict)
    """What each rule needs, by its id."""

    def take(self, value: Scalar, stream: str, now: float) -> None:
        self.previous, self.latest, self.stream = self.latest, value, stream
        if self.window is not None and isinstance(value, float):
            self.window.append(now, value)

    def fit(self, most: int) -> None:
        """Keep as much history as the rules need now."""
        seconds = max((needs.seconds for needs in self.needs.values()), default=0.0)
        if not seconds:
            self.window = None
        elif self.window is None:
            self.window = SampleWindow(most, seconds)
        else:
            self.window.seconds = seconds


@define(eq=False)
class FieldView:
    """The fields of one rule as its condition sees them; the time is set before each evaluation."""

    fields: Mapping[str, _WatchedField]
    views: dict[tuple[int, float, float], WindowView]
    """Windows that were asked for already, of all rules: by field, time, and seconds."""
    now: float = 0.0

    def latest(self, name: str) -> Scalar:
        """The newest value of a field."""
        return self.fields[name].latest

    def previous(self, name: str) -> Scalar:
        """The value before the newest."""
        return self.fields[name].previous

    def window(self, name: str, seconds: float) -> WindowView:
        """The numeric samples of a field in so many seconds before now."""
        window = self.fields[name].window
        if window is None:
            return _EMPTY
        key = (id(window), self.now, seconds)
        view = self.views.get(key)
        if view is None:
            if len(self.views) >= _VIEWS:
                self.views.clear()
            view = self.views[key] = window.view(self.now, seconds)
        return view

    def values(self) -> dict[str, Scalar]:
        """The newest value of each field, in the order of the condition."""
        return {name: each.latest for name, each in self.fields.items()}

    def streams(self) -> set[str]:
        """The streams that the newest values came from."""
        return {each.stream for each in self.fields.values() if each.stream is not None}

    def shortened(self) -> list[str]:
        """The fields of which samples come so fast that the window cannot hold its whole time."""
        return [name for name, each in self.fields.items() if each.window is not None and each.window.shortened]


class WatchedFields:
    """
    Every field that a rule names.

    Args:
        samples: Most samples of one field's history.
    """

    def __init__(self, samples: int) -> None:
        self._samples = samples
        # By stream, and None for the names of rules that are for no stream in particular; then by name.
        self._fields: dict[str | None, dict[str, _WatchedField]] = {}
        self._views: dict[tuple[int, float, float], WindowView] = {}

    def __len__(self) -> int:
        return sum(map(len, self._fields.values()))

    def watch(self, rule_id: str, stream: str | None, needs: Mapping[str, FieldNeeds]) -> FieldView:
        """Begin to keep what a rule needs."""
        fields = self._fields.setdefault(stream, {})
        own: dict[str, _WatchedField] = {}
        for name, need in needs.items():
            own[name] = watched = fields.setdefault(name, _WatchedField(name))
            watched.needs[rule_id] = need
            watched.fit(self._samples)
        return FieldView(own, self._views)

    def unwatch(self, rule_id: str, stream: str | None) -> None:
        """Keep only what the other rules need."""
        fields = self._fields.get(stream, {})
        for watched in list(fields.values()):
            if watched.needs.pop(rule_id, None) is None:
                continue
            watched.fit(self._samples)
            if not watched.needs:
                del fields[watched.name]
        if not fields:
            self._fields.pop(stream, None)

    def forget_views(self) -> None:
        """Keep no windows that were asked for: a sample has come, or all rules have seen it."""
        self._views.clear()

    def observe(self, stream: str, data: Mapping[str, Json], now: float) -> Iterable[str]:
        """Take a sample; returns the ids of the rules that it concerns, each once, in the order in which they came."""
        self.forget_views()
        concerned: dict[str, None] = {}
        for watched in self._fields.get(stream, {}).values():
            watched.take(_scalar(_look_up(data, watched.name)), stream, now)
            concerned.update(dict.fromkeys(watched.needs))
        for watched in self._fields.get(None, {}).values():
            value = _scalar(_look_up_in_any(stream, data, watched.name))
            if value is not None or watched.stream == stream:
                watched.take(value, stream, now)
                concerned.update(dict.fromkeys(watched.needs))
        return concerned


def _look_up(data: Mapping[str, Json], name: str) -> Json:
    if name in data:
        return data[name]
    value: object = data
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value  # type: ignore[return-value]  # an item of JSON is JSON


def _look_up_in_any(stream: str, data: Mapping[str, Json], name: str) -> Json:
    prefix = stream + "."
    value = _look_up(data, name[len(prefix) :]) if name.startswith(prefix) else None
    return _look_up(data, name) if value is None else value


def _scalar(value: Json) -> Scalar:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:  # a whole number of Python's own; JSON has none so large
            return None
        return number if math.isfinite(number) else None
    return None
