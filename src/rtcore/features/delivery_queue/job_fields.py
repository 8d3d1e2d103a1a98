"""What a job may be made of, in the same words for the program and for clients."""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.delivery_queue.job import NewJob, Priority
from rtcore.features.delivery_queue.queue_store import QueueName
from rtcore.features.delivery_queue.settings import QueueSettings
from rtcore.protocol.command_fields import fault
from rtcore.protocol.json_codec import json_dumps
from rtcore.protocol.wire_fields import Reader, any_json, number, one_of, text, whole_number, wire
from rtcore.values.channels import own_channel
from rtcore.values.events import Json
from rtcore.values.shown import show

__all__ = [
    "ATTEMPTS",
    "BATCH_JOBS",
    "CHANNELS",
    "DELAY_SECONDS",
    "KEY_LENGTH",
    "NAME_LENGTH",
    "NAME_PATTERN",
    "REASON_LENGTH",
    "JobFields",
    "check_queue",
    "check_seconds",
    "job_id",
    "new_job",
    "queue_name",
    "retry_after",
]

CHANNELS: Final = "queues"
"""The namespace: `queues:WORKSPACE` is the channel of a workspace's queues."""
NAME_LENGTH: Final = 64
KEY_LENGTH: Final = 128
"""Longest key, in characters: a key in the store is at most 1 KiB, with workspace and queue before it."""
REASON_LENGTH: Final = 500
BATCH_JOBS: Final = 1000
"""Most jobs of one batch: they are one write."""
DELAY_SECONDS: Final = 366 * 86_400
ATTEMPTS: Final = 1000
NAME_PATTERN: Final = rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{NAME_LENGTH - 1}}}"
_NAME: Final = re.compile(NAME_PATTERN, re.ASCII)

job_id: Final = text(64)
"""Reads the id of a job."""
retry_after: Final = number(0, DELAY_SECONDS)
"""Reads a wait, in seconds."""


def queue_name(value: object) -> str:
    """Reads the name of a queue."""
    given = value if isinstance(value, str) else fault(f"expected text, got {show(value)}")
    if len(given) > NAME_LENGTH:
        fault(f"expected 1 to {NAME_LENGTH} characters, got {len(given)}", ErrorCode.TOO_LARGE)
    if not _NAME.fullmatch(given):
        fault(f"expected letters, digits, '_', '.' or '-', a letter or digit first, got {show(given)}")
    return given


def _key(value: object) -> str:
    given = _key_text(value)
    try:
        given.encode()
    except UnicodeEncodeError:
        fault("expected text that UTF-8 can carry")
    return given


_key_text: Final = text(KEY_LENGTH)


@frozen(kw_only=True)
class JobFields:
    """A job as a client puts it."""

    data: Json = wire(any_json, default=None)
    priority: str = wire(one_of(*Priority), default=Priority.NORMAL)
    key: str | None = wire(_key, default=None)
    delay: float = wire(retry_after, default=0.0)
    max_attempts: int | None = wire(whole_number(1, ATTEMPTS), default=None)

    def new_job(self, settings: QueueSettings, path: str) -> NewJob:
        """
        The job, its data as JSON text.

        Raises:
            RequestError: If its data is too large or no JSON; `path` is where it stands, such as `data.jobs[3]`.
        """
        field = f"{path}.data".removeprefix(".")
        data = json_dumps(self.data, field=field)
        if len(data) > settings.data_bytes:
            problem = f"{field}: {len(data)} bytes exceed data_bytes={settings.data_bytes}"
            raise RequestError(ErrorCode.TOO_LARGE, problem, field=field)
        return NewJob(
            data=data,
            priority=Priority(self.priority),
            key=self.key,
            delay=self.delay,
            max_attempts=self.max_attempts or settings.max_attempts,
        )


def new_job(data: Json, settings: QueueSettings, **options: Any) -> NewJob:  # Any: the fields of `JobFields`
    """A job that the program puts; RequestError as for one of a client."""
    for name, read in _READERS.items():
        if options.get(name) is not None:
            options[name] = _checked(name, read, options[name])
    given = {name: value for name, value in options.items() if value is not None}
    return JobFields(data=data, **given).new_job(settings, "")


_READERS: Final[dict[str, Reader[Any]]] = {
    "priority": one_of(*Priority),
    "key": _key,
    "delay": retry_after,
    "max_attempts": whole_number(1, ATTEMPTS),
}


def check_seconds(name: str, value: float) -> float:
    """A wait that the program gives; RequestError if it cannot be one."""
    return float(_checked(name, retry_after, value))


def check_queue(name: str, workspace: str) -> QueueName:
    """The name of a queue; RequestError if it, or its workspace, cannot be one."""
    _checked("queue", queue_name, name)
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
