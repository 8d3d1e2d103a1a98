"""What a job may be made of, in the same words for the program and for clients."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

import attrs
from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.delivery_queue.job import NewJob, Priority
from rtcore.features.delivery_queue.queue_store import QueueName
from rtcore.features.delivery_queue.settings import QueueSettings
from rtcore.protocol.command_fields import fault, read_text
from rtcore.protocol.json_codec import json_kept
from rtcore.protocol.wire_fields import Reader, any_json, items, number, one_of, text, wire
from rtcore.values.channels import own_channel
from rtcore.values.events import Json
from rtcore.values.rules import Rule
from rtcore.values.shown import show

__all__ = [
    "CHANNELS",
    "NAME_LENGTH",
    "NAME_PATTERN",
    "REASON_LENGTH",
    "JobFields",
    "check_argument",
    "check_bound",
    "check_count",
    "check_queue",
    "check_seconds",
    "job_id",
    "listed_job",
    "new_job",
    "over_zero",
    "positive",
    "queue_name",
    "several",
    "wait_seconds",
]

_T = TypeVar("_T")

CHANNELS: Final = "queues"
"""The namespace: `queues:WORKSPACE` is the channel of a workspace's queues."""
NAME_LENGTH: Final = 64
"""Longest name of a queue, in characters: it stands in addresses, in keys of the store, and in each event."""
REASON_LENGTH: Final = 500
"""Longest reason, in characters: it goes along in events, and is kept with the job."""
NAME_PATTERN: Final = rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{NAME_LENGTH - 1}}}"
_NAME: Final = re.compile(NAME_PATTERN, re.ASCII)

job_id: Final = text(64)
"""Reads the id of a job."""
_number: Final = number(0)


def wait_seconds(value: object) -> float:
    """Reads a wait, in seconds; a setting says how long it may be."""
    return math.inf if isinstance(value, int | float) and value > sys.float_info.max else _number(value)


def over_zero(value: object) -> float:
    """Reads a time that is not over at once, in seconds; a setting says how long it may be."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return wait_seconds(value)
    return fault(f"expected a number over 0, got {show(value)}")


def positive(value: object) -> int:
    """Reads a whole number from 1; a setting says how large it may be."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    return fault(f"expected a whole number of at least 1, got {show(value)}")


def several(read: Reader[_T]) -> Reader[tuple[_T, ...]]:
    """An array of one or more values that each are read alike; a setting says how many: `check_count`."""
    read_all = items(read, sys.maxsize)

    def read_several(value: object) -> tuple[_T, ...]:
        return read_all(value) if value != [] else fault("expected one or more entries, got 0")

    return read_several


def queue_name(value: object) -> str:
    """Reads the name of a queue."""
    given = value if isinstance(value, str) else fault(f"expected text, got {show(value)}")
    if len(given) > NAME_LENGTH:
        fault(f"expected 1 to {NAME_LENGTH} characters, got {len(given)}", ErrorCode.TOO_LARGE)
    if not _NAME.fullmatch(given):
        fault(f"expected letters, digits, '_', '.' or '-', a letter or digit first, got {show(given)}")
    return given


def _key(value: object) -> str:
    given = read_text(value)
    if not given:
        fault("expected one or more characters, got 0")
    try:
        given.encode()
    except UnicodeEncodeError:
        fault("expected text that UTF-8 can carry")
    return given


@frozen(kw_only=True)
class JobFields:
    """A job as a client puts it."""

    data: Json = wire(any_json, null=True)
    priority: str = wire(one_of(*Priority), default=Priority.NORMAL)
    key: str | None = wire(_key, default=None)
    delay: float = wire(wait_seconds, default=0.0)
    max_attempts: int | None = wire(positive, default=None)

    def new_job(self, settings: QueueSettings, path: str) -> NewJob:
        """
        The job, its data as JSON text.

        Raises:
            RequestError: If its data is no JSON, or something is larger than the settings have it; `path` is where it
                stands, such as `data.jobs[3]`.
        """
        path = f"{path}." if path else ""
        data = json_kept(self.data, field=f"{path}data")
        check_count(f"{path}data", len(data), "bytes", settings, "data_bytes")
        check_count(f"{path}key", len(self.key or ""), "characters", settings, "key_characters")
        check_bound(f"{path}delay", self.delay, settings, "delay_seconds")
        check_bound(f"{path}max_attempts", self.max_attempts or 1, settings, "job_attempts")
        return NewJob(
            data=data,
            priority=Priority(self.priority),
            key=self.key,
            delay=self.delay,
            max_attempts=self.max_attempts or settings.max_attempts,
        )


_READERS: Final[dict[str, Reader[Any]]] = {
    "priority": one_of(*Priority),
    "key": _key,
    "delay": wait_seconds,
    "max_attempts": positive,
}
_OPTIONS: Final = frozenset(field.name for field in attrs.fields(JobFields))


def new_job(data: Json, settings: QueueSettings, path: str = "", **options: Any) -> NewJob:
    """A job that the program puts, with the other fields of `JobFields`; RequestError as for one of a client."""
    given = {
        name: _checked(f"{path}.{name}".removeprefix("."), _READERS[name], value)
        for name, value in options.items()
        if value is not None
    }
    return JobFields(data=data, **given).new_job(settings, path)


def listed_job(job: object, settings: QueueSettings, path: str) -> NewJob:
    """A job that the program puts as one of many; RequestError as for one of a client."""
    if not isinstance(job, Mapping):
        raise RequestError(ErrorCode.MALFORMED, f"{path}: expected an object, got {show(job)}", field=path)
    for name in job:
        if name not in _OPTIONS:
            raise RequestError(ErrorCode.MALFORMED, f"{path}.{name}: unknown field", field=path)
    if "data" not in job:
        raise RequestError(ErrorCode.MALFORMED, f"{path}.data: missing", field=f"{path}.data")
    return new_job(settings=settings, path=path, **cast("Mapping[str, Any]", job))


def check_bound(field: str, given: float, settings: QueueSettings, setting: str) -> None:
    """RequestError if a number is larger than a setting has it."""
    most = getattr(settings, setting)
    if given > most:
        shown = f"{given:.15g}" if isinstance(given, float) else show(given)
        problem = f"{field}: {shown} exceeds {setting}={most:.15g}"
        raise RequestError(ErrorCode.MALFORMED, problem, field=field)


def check_count(field: str, given: int, unit: str, settings: QueueSettings, setting: str) -> None:
    """RequestError if something has more of a unit than a setting allows."""
    most = getattr(settings, setting)
    if given > most:
        raise RequestError(ErrorCode.TOO_LARGE, f"{field}: {given} {unit} exceed {setting}={most}", field=field)


def check_seconds(name: str, value: float, read: Reader[float] = wait_seconds) -> float:
    """A time that the program gives; RequestError if it cannot be one."""
    return float(_checked(name, read, value))


def check_argument(name: str, value: object, rule: Rule) -> None:
    """ValueError that names an argument of the program which cannot be one, and what it may be."""
    if not rule.passes(value):
        raise ValueError(f"{name}: expected {rule.expectation}, got {show(value)}")


def check_queue(name: str, workspace: str, *, field: str = "queue") -> QueueName:
    """The name of a queue; RequestError if it, which came in `field`, or its workspace, cannot be one."""
    _checked(field, queue_name, name)
    try:
        own_channel(CHANNELS, workspace)
    except ValueError as error:
        raise RequestError(ErrorCode.MALFORMED, f"workspace: {error}", field="workspace") from error
    return QueueName(workspace, name)


def _checked(name: str, read: Reader[Any], value: object) -> Any:
    try:
        return read(value)
    except RequestError as error:
        raise RequestError(error.code, f"{name}: {error.message}", field=name) from error
