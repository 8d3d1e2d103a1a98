"""What a client of queues is refused, in words that name the value and the limit."""

from __future__ import annotations

from typing import Any

import pytest

from rtcore.testing import open_test_hub, open_test_server
from tests.features.delivery_queue.talking import ALL, refusal

PUT = {"queue": "emails", "data": 1}
BAD = [
    ("queue.put", {"data": 1}, "request.malformed", "data.queue: missing"),
    ("queue.put", PUT | {"queue": "a b"}, "request.malformed", "data.queue: expected letters, digits"),
    ("queue.put", PUT | {"queue": 5}, "request.malformed", "data.queue: expected text"),
    ("queue.put", PUT | {"queue": "a" * 65}, "limit.too_large", "data.queue: expected 1 to 64 characters, got 65"),
    ("queue.put", PUT | {"priority": "urgent"}, "request.malformed", "data.priority: expected one of high, normal"),
    ("queue.put", PUT | {"key": ""}, "request.malformed", "data.key: expected one or more characters, got 0"),
    ("queue.put", {"queue": "emails"}, "request.malformed", "data.data: missing"),
    ("queue.put", PUT | {"key": "k" * 129}, "limit.too_large", "data.key: 129 characters exceed key_characters=128"),
    ("queue.put", PUT | {"delay": -1}, "request.malformed", "data.delay: expected a number of at least 0"),
    ("queue.put", PUT | {"delay": 4e7}, "request.malformed", "data.delay: 40000000 exceeds delay_seconds=31622400"),
    ("queue.put", PUT | {"max_attempts": 0}, "request.malformed", "data.max_attempts: expected a whole number of at"),
    (
        "queue.put",
        PUT | {"max_attempts": 1001},
        "request.malformed",
        "data.max_attempts: 1001 exceeds job_attempts=1000",
    ),
    ("queue.put", PUT | {"data": "x" * 99}, "limit.too_large", "data.data: 101 bytes exceed data_bytes=100"),
    ("queue.put", PUT | {"payload": 1}, "request.malformed", "data.payload: unknown field"),
    ("queue.put_many", {"queue": "e", "jobs": []}, "request.malformed", "data.jobs: expected one or more entries"),
    (
        "queue.put_many",
        {"queue": "e", "jobs": [{"data": 1}] * 4},
        "limit.too_large",
        "data.jobs: 4 entries exceed batch_jobs=3",
    ),
    ("queue.put_many", {"queue": "e", "jobs": [{"key": "k"}]}, "request.malformed", "data.jobs[0].data: missing"),
    ("queue.put_many", {"queue": "e", "jobs": [1]}, "request.malformed", "data.jobs[0]: expected an object"),
    ("queue.put_many", {"queue": "e", "jobs": [{"data": 1, "key": 1}]}, "request.malformed", "data.jobs[0].key: "),
    (
        "queue.put_many",
        {"queue": "e", "jobs": [{"data": None}, {"data": "x" * 99}]},
        "limit.too_large",
        "data.jobs[1].data: 101 bytes exceed data_bytes=100",
    ),
    ("queue.lease", {"queue": "e", "count": 0}, "request.malformed", "data.count: expected a whole number of at"),
    ("queue.lease", {"queue": "e", "seconds": 0}, "request.malformed", "data.seconds: expected a number over 0"),
    ("queue.lease", {"queue": "e", "wait": 61}, "request.malformed", "data.wait: 61 exceeds wait_seconds=60"),
    (
        "queue.lease",
        {"queue": "e", "seconds": 301},
        "request.malformed",
        "data.seconds: 301 exceeds processing_seconds=300",
    ),
    ("queue.ack", {"job_ids": []}, "request.malformed", "data.job_ids: expected one or more entries, got 0"),
    ("queue.ack", {"job_ids": ["a", "b", "c", "d"]}, "limit.too_large", "data.job_ids: 4 entries exceed batch_jobs=3"),
    ("queue.ack", {"job_ids": ["zz"]}, "request.not_found", 'data.job_ids[0]: no job "zz" is known here: there was'),
    ("queue.nack", {"job_id": "zz"}, "request.not_found", 'data.job_id: no job "zz" is known here'),
    (
        "queue.nack",
        {"job_id": "zz", "retry_after": 4e7},
        "request.malformed",
        "data.retry_after: 40000000 exceeds delay_seconds=31622400",
    ),
    ("queue.nack", {"job_id": "zz", "reason": "x" * 501}, "limit.too_large", "data.reason: expected 1 to 500"),
    ("queue.extend", {"job_ids": ["zz"], "seconds": 1}, "request.not_found", 'data.job_ids[0]: no job "zz" is known'),
    ("queue.extend", {"job_ids": ["zz"], "seconds": 0}, "request.malformed", "data.seconds: expected a number over 0"),
    ("queue.extend", {"job_ids": ["zz"], "seconds": -1}, "request.malformed", "data.seconds: expected a number over 0"),
    ("queue.statistics", {"queue": "nowhere"}, "request.not_found", "data.queue: no such queue"),
    ("queue.pause", {"queue": "nowhere"}, "request.not_found", "data.queue: no such queue"),
    ("queue.dead", {"queue": "there", "after": "zz"}, "request.not_found", 'data.after: "zz" is no dead letter'),
    ("queue.dead", {"queue": "there", "limit": 0}, "request.malformed", "data.limit: expected a whole number of at"),
    ("queue.dead", {"queue": "there", "limit": 101}, "request.malformed", "data.limit: 101 exceeds page_jobs=100"),
    ("queue.requeue", {"queue": "there", "job_ids": ["zz"]}, "request.not_found", 'data.job_ids[0]: "zz" is no dead'),
    ("queue.drop", {"queue": "there", "job_ids": ["zz"]}, "request.not_found", 'data.job_ids[0]: "zz" is no dead'),
]


@pytest.mark.parametrize(("type", "data", "code", "message"), BAD)
async def test_bad_input_is_refused_in_words(
    type: str, data: Any, code: str, message: str, of: Any, autojump_clock: Any
) -> None:
    """And nothing has changed."""
    features = of(data_bytes=100, batch_jobs=3)
    async with open_test_hub(features=features) as hub, open_test_server(ALL, hub=hub) as server:
        hub.queues.open("there")
        got = await refusal(await server.connect(), type, data)
        assert (got[0], got[1][: len(message)]) == (code, message)
        assert all(not queue.book.state.jobs for queue in hub.queues.all())
