"""
Documents of queues as they are read at a start: what the store gives need not be what was written.

A disk may have damaged it, or another program changed it. Then the hub does not begin: a job that cannot be read was
accepted and must not be lost in silence, so somebody has to look. The error names the document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from rtcore.errors import StoreError
from rtcore.features.delivery_queue.job import DoneKey, Job, JobStatus, Priority
from rtcore.protocol.json_codec import json_kept
from rtcore.values.events import Json
from rtcore.values.shown import show

__all__ = ["fields_of_answer", "fields_of_progress", "job_of", "key_of", "named_if_damaged"]

_Kinds = Mapping[str, type | tuple[type, ...]]

_NUMBER: Final = (int, float)
_JOB: Final[_Kinds] = {
    "order": int,
    "priority": str,
    "data": object,
    "put_at": _NUMBER,
    "max_attempts": int,
    "due": _NUMBER,
    "key": str,
}
_PROGRESS: Final[_Kinds] = {"attempts": int, "order": int, "due": _NUMBER, "reason": str, "dead_at": _NUMBER}
_KEY: Final[_Kinds] = {"job_id": str, "done_at": _NUMBER}
_ANSWER: Final[_Kinds] = {"digest": str, "at": _NUMBER, "job_id": str, "duplicate": bool, "status": str}
_OPTIONAL: Final = frozenset({"key", "reason", "dead_at"})


@contextmanager
def named_if_damaged(collection: str, key: str) -> Iterator[None]:
    """
    A block that reads a document.

    Raises:
        StoreError: It could make nothing of it, and raised ValueError.
    """
    try:
        yield
    except ValueError as error:
        raise StoreError(f"{collection}/{key}: the document is damaged: {error}") from error


def job_of(job_id: str, document: Json, progress: Mapping[str, Any], *, now: float, steady_now: float) -> Job:
    """
    A job, with what had happened to it; ValueError if it cannot be one.

    Args:
        job_id: From its key.
        document: What it was put as.
        progress: What `fields_of_progress` gave; empty if nothing had happened.
        now: Unix seconds.
        steady_now: The same moment on the steady clock.
    """
    fields = {**_checked(document, _JOB), **progress}
    for name, least in (("order", 0), ("max_attempts", 1), ("attempts", 0)):
        if fields.get(name, least) < least:
            raise ValueError(f"{name}: expected at least {least}, got {fields[name]}")
    # Where the clock has been set back since, a job waits no longer than it was to when it was put or tried last.
    fields["due"] = steady_now + fields["due"] - max(now, fields["put_at"])
    fields["data"] = json_kept(fields["data"])
    fields["priority"] = Priority(fields["priority"])
    return Job(job_id=job_id, **fields)


def fields_of_progress(document: Json) -> dict[str, Any]:
    """What had happened to a job; ValueError if it cannot be that."""
    return _checked(document, _PROGRESS)


def key_of(document: Json) -> DoneKey:
    """What is remembered of a job that was done; ValueError if it cannot be that."""
    return DoneKey(**_checked(document, _KEY))


def fields_of_answer(document: Json) -> dict[str, Any]:
    """What a request was answered; ValueError if it cannot be that."""
    fields = _checked(document, _ANSWER)
    return {**fields, "status": JobStatus(fields["status"])}


def _checked(document: Json, kinds: _Kinds) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise ValueError(f"expected an object, got {show(document)}")
    for name, value in document.items():
        kind = kinds.get(name)
        if kind is None:
            raise ValueError(f"unknown field {show(name)}")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind not in (bool, object)):
            raise ValueError(f"{name}: got {show(value)}")
    missing = [name for name in kinds if name not in document and name not in _OPTIONAL]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    return dict(document)
