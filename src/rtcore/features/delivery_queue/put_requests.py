"""
Requests to put a job that may come twice and are carried out once, also over a restart.

The answer is written with the job. A job's own key does less: it knows nothing of the rest of the request, and belongs
to the queue. This one belongs to whoever used it, and comes with another request only by mistake, which is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.delivery_queue.job import Receipt
from rtcore.features.delivery_queue.queue_store import Answer, QueueStore
from rtcore.store.store import Change
from rtcore.values.limits import Limits

__all__ = ["PutRequest", "PutRequests"]


@frozen
class PutRequest:
    """A request with an idempotency key."""

    name: str
    """Of the key and its owner."""
    digest: str
    """Of what must be the same where the key is."""

    @classmethod
    def of(cls, workspace: str, owner: str, key: str, content: bytes) -> PutRequest:
        """A key, whose it is, and what it came with."""
        name = sha256(f"{workspace}\0{owner}\0{key}".encode()).hexdigest()
        return cls(name, sha256(content).hexdigest())


class PutRequests:
    """
    The answers to such requests: as many, and for as long, as `Limits` has it for all idempotency keys.

    Args:
        store: Where they outlive the process.
        limits: `idempotency_keys` and `idempotency_seconds`.
        clock: Unix seconds.
    """

    def __init__(self, store: QueueStore, limits: Limits, clock: Callable[[], float]) -> None:
        self._store = store
        self._limits = limits
        self._clock = clock
        self._answers: dict[str, Answer] = {}  # the oldest first

    def load(self, answers: list[tuple[str, Answer]]) -> list[Change]:
        """Take in what is in the store, the oldest first; returns what is to be forgotten there."""
        self._answers = dict(answers)
        names = self._old(coming=0)
        for name in names:
            del self._answers[name]
        return self._store.forgotten_answers(names)

    def find(self, request: PutRequest) -> Receipt | None:
        """
        What the request was answered before; None if it is new.

        Raises:
            RequestError: `request.conflict` if its key came with another request.
        """
        answer = self._answers.get(request.name)
        if answer is None:
            return None
        if self._is_over(answer):
            del self._answers[request.name]  # lest another request forgets in the store what this one puts there
            return None
        if answer.digest != request.digest:
            message = "this Idempotency-Key came with another request before"
            raise RequestError(ErrorCode.CONFLICT, message, field="Idempotency-Key")
        return answer.receipt

    def changes(self, request: PutRequest, receipt: Receipt) -> list[Change]:
        """What is written with the job: the answer, in the place of the oldest."""
        answer = Answer(digest=request.digest, receipt=receipt, at=self._clock())
        return [*self._store.forgotten_answers(self._old(coming=1)), self._store.answer(request.name, answer)]

    def keep(self, request: PutRequest, receipt: Receipt) -> None:
        """The answer is written."""
        for name in self._old(coming=1):
            del self._answers[name]
        self._answers[request.name] = Answer(digest=request.digest, receipt=receipt, at=self._clock())

    def _is_over(self, answer: Answer) -> bool:
        return self._clock() - answer.at >= self._limits.idempotency_seconds

    def _old(self, *, coming: int) -> list[str]:
        """Those that are too old, or too many when so many come."""
        too_many = len(self._answers) + coming - self._limits.idempotency_keys
        names: list[str] = []
        for name, answer in self._answers.items():
            if len(names) >= too_many and not self._is_over(answer):
                break
            names.append(name)
        return names
