"""What the store gives at a start need not be what was written: that is said, and no job is lost in silence."""

from __future__ import annotations

from typing import Any

import pytest

from rtcore.application import open_hub
from rtcore.errors import StoreError
from rtcore.store.memory_store import MemoryStore
from rtcore.store.store import Put

JOB: dict[str, Any] = {"order": 1, "priority": "normal", "data": 7, "put_at": 1.0, "max_attempts": 5, "due": 1.0}
PROGRESS: dict[str, Any] = {"attempts": 1, "order": 1, "due": 1.0}
KEY: dict[str, Any] = {"job_id": "j", "done_at": 1.0}
ANSWER: dict[str, Any] = {"digest": "d", "at": 1.0, "job_id": "j", "duplicate": False, "status": "done"}


def without(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != name}


@pytest.mark.parametrize(
    ("collection", "key", "document", "words"),
    [
        ("queue_jobs", "default/q/j", without(JOB, "due"), "due is missing"),
        ("queue_jobs", "default/q/j", {**JOB, "priority": "no2mal"}, "'no2mal' is not a valid Priority"),
        ("queue_jobs", "default/q/j", {**JOB, "maxOattempts": 5}, 'unknown field "maxOattempts"'),
        ("queue_jobs", "default/q/j", {**JOB, "max_attempts": "5"}, 'max_attempts: got "5"'),
        ("queue_jobs", "default/q/j", {**JOB, "max_attempts": 0}, "max_attempts: expected at least 1, got 0"),
        ("queue_jobs", "default/q/j", [JOB], "expected an object"),
        ("queue_jobs", "default", JOB, "expected 3, got 1"),
        ("queue_jobs", "~zz/q/j", JOB, "not a name"),
        ("queue_progress", "default/q/j", {**PROGRESS, "attempts": True}, "attempts: got true"),
        ("queue_keys", "default/q/k", {**KEY, "done_at": None}, "done_at: got null"),
        ("queue_keys", "default", KEY, "expected 3, got 1"),
        ("queue_answers", "a", {**ANSWER, "status": "dome"}, "'dome' is not a valid JobStatus"),
        ("queue_answers", "a", {**ANSWER, "duplicate": 0}, "duplicate: got 0"),
        ("queue_paused", "default", True, "expected 3, got 1"),
    ],
)
async def test_hub_does_not_begin_with_a_damaged_document_and_names_it(
    collection: str, key: str, document: Any, words: str
) -> None:
    """Without the job it would be lost in silence; with a bare KeyError nobody knows where to look."""
    store = MemoryStore()
    await store.write([Put(collection, key, document)])
    with pytest.RaisesGroup(pytest.RaisesExc(StoreError), flatten_subgroups=True) as caught:
        async with open_hub(store=store):
            pass
    (error,) = _leaves(caught.value)
    assert str(error).startswith(f"{collection}/{key}: the document is damaged: ")
    assert words in str(error)


async def test_documents_as_they_are_written_are_taken() -> None:
    """So that the table above tells of what it changes, and of nothing else."""
    store = MemoryStore()
    await store.write(
        [
            Put("queue_jobs", "default/q/j", {**JOB, "key": "k"}),
            Put("queue_progress", "default/q/j", {**PROGRESS, "reason": "no", "dead_at": 2.0}),
            Put("queue_keys", "default/q/k2", KEY),
            Put("queue_answers", "a", ANSWER),
            Put("queue_paused", "default/q/", True),
        ]
    )
    async with open_hub(store=store) as hub:
        (dead,) = hub.queues.open("q").dead()
        assert (dead.job_id, dead.reason) == ("j", "no")


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
