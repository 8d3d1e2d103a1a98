"""All streams by name, who watches them and who needs them; no Trio, no hub."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from rtcore.features.metric_streams.stream import Stream, check_stream_name

__all__ = ["StreamBook"]


class StreamBook:
    """
    Args:
        maximum: Most streams.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._streams: dict[str, Stream] = {}
        self._watched: set[str] = set()
        """Names with a subscriber, also those of no stream that there is."""
        self._needs: dict[object, frozenset[str] | None] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._streams

    def __getitem__(self, name: str) -> Stream:
        return self._streams[name]

    def __iter__(self) -> Iterator[Stream]:
        """By name."""
        return iter([self._streams[name] for name in sorted(self._streams)])

    def get(self, name: str) -> Stream | None:
        """The stream of this name; None where there is none."""
        return self._streams.get(name)

    def put(self, stream: Stream, *, replace: bool) -> Stream | None:
        """
        Take a stream in; it is watched and needed as the name was before.

        Returns:
            The one in whose place it is.

        Raises:
            ValueError: If the name is not acceptable or taken, or there are too many.
        """
        name = check_stream_name(stream.name)
        before = self._streams.get(name)
        if before is not None and not replace:
            raise ValueError(f'there is a stream "{name}" already')
        if before is None and len(self._streams) >= self._maximum:
            raise ValueError(f"there are metric_streams={self._maximum} streams already")
        stream.watched = name in self._watched
        stream.needed_by = {owner for owner, needed in self._needs.items() if _is_needed(stream, needed)}
        self._streams[name] = stream
        return before

    def pop(self, name: str) -> Stream:
        """Take a stream out."""
        return self._streams.pop(name)

    def watch(self, name: str, watched: bool) -> Stream | None:
        """Note whether somebody watches; returns the stream, where there is one."""
        if watched:
            self._watched.add(name)
        else:
            self._watched.discard(name)
        stream = self._streams.get(name)
        if stream is not None:
            stream.watched = watched
        return stream

    def watched(self, name: str) -> bool:
        """Whether somebody watches, also where there is no such stream."""
        return name in self._watched

    def need(self, owner: object, names: Collection[str] | None) -> None:
        """Note what somebody needs from now on; None: every stream that is observed."""
        if names is not None and not names:
            self._needs.pop(owner, None)
        else:
            self._needs[owner] = None if names is None else frozenset(names)
        for stream in self._streams.values():
            if _is_needed(stream, names):
                stream.needed_by.add(owner)
            else:
                stream.needed_by.discard(owner)


def _is_needed(stream: Stream, names: Collection[str] | None) -> bool:
    return stream.observed if names is None else stream.name in names
