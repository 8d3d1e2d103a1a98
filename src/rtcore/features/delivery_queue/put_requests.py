"""
Requests to put a job that may come twice and are carried out once, also over a restart.

The answer is written with the job. A job's own key does less: it knows nothing of the rest of the request, and belongs
to the queue. This one belongs to whoever used it, and comes with another request only by mistake, which is refused.

An answer that is new has old ones forgotten with the same write. Those are taken out before it is written, so that no
two writes forget the same ones, and come back if it fails: what is in memory and what is in the store are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from attrs import define, frozen

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


@define(eq=False)
class _Coming:
    """An answer that is being written."""

    answer: Answer
    forgotten: dict[str, Answer]
    """With the same write."""


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
        self._coming: dict[str, _Coming] = {}

    def load(self, answers: list[tuple[str, Answer]]) -> list[Change]:
        """Take in what is in the store, the oldest first; returns what is to be forgotten there."""
        self._answers = dict(answers)
        return self._store.forgotten_answers([*self._take_old()])

    def find(self, request: PutRequest) -> Receipt | None:
        """
        What the request was answered before; None if it is new.

        Raises:
            RequestError: `request.conflict` if its key came with another request.
        """
        answer = self._answers.get(request.name)
        if answer is None or self._is_over(answer):
            return None
        if answer.digest != request.digest:
            message = "this Idempotency-Key came with another request before"
            raise RequestError(ErrorCode.CONFLICT, message, field="Idempotency-Key")
        return answer.receipt

    def begin(self, request: PutRequest, receipt: Receipt) -> list[Change]:
        """What is written with the job, at once: the answer, in the place of the oldest. Then `keep` it, or `undo`."""
        coming = _Coming(Answer(digest=request.digest, receipt=receipt, at=self._clock()), {})
        self._coming[request.name] = coming
        coming.forgotten = self._take_old()
        return [*self._store.forgotten_answers([*coming.forgotten]), self._store.answer(request.name, coming.answer)]

    def keep(self, request: PutRequest) -> None:
        """The answer is written."""
        self._answers.pop(request.name, None)  # one that was too old: the new one is the newest
        self._answers[request.name] = self._coming.pop(request.name).answer

    def undo(self, request: PutRequest) -> None:
        """The answer is not written, if it had begun at all."""
        coming = self._coming.pop(request.name, None)
        if coming is not None:  # what was asked for again meanwhile has a newer answer
            back = {name: answer for name, answer in coming.forgotten.items() if name not in self._answers}
            self._answers = back | self._answers

    def _is_over(self, answer: Answer) -> bool:
        return self._clock() - answer.at >= self._limits.idempotency_seconds

    def _take_old(self) -> dict[str, Answer]:
        """Take out those that are too old, or too many with those that come."""
        too_many = len(self._answers) + len(self._coming) - self._limits.idempotency_keys
        old: dict[str, Answer] = {}
        for name, answer in self._answers.items():
            if len(old) >= too_many and not self._is_over(answer):
                break
            old[name] = answer
        for name in old:
            del self._answers[name]
        return old
