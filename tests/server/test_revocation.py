"""Revocation: of tokens, of users, of what is live."""

from __future__ import annotations

import logging
from contextlib import ExitStack

import pytest
from attrs import define

from rtcore.errors import ErrorCode, RequestError
from rtcore.server.revocation import RevocationList
from rtcore.server.settings import AuthenticationSettings, KeySettings
from rtcore.values.identity import ANONYMOUS, Identity


@define
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def ann(token_id: str | None = "t1", issued_at: float | None = 900.0) -> Identity:
    return Identity(user="ann", token_id=token_id, issued_at=issued_at)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def revocations(clock: Clock) -> RevocationList:
    return RevocationList(clock=clock, maximum=3, keep_seconds=100, leeway_seconds=10)


def test_list_takes_its_bounds_from_settings(clock: Clock) -> None:
    """Size, time kept, leeway."""
    settings = AuthenticationSettings(
        keys={"main": KeySettings(algorithm="HS256", secret="x" * 32)},
        revocations=7,
        revocation_seconds=8,
        leeway_seconds=9,
    )
    made = RevocationList.of(settings, clock=clock)
    assert (made.maximum, made.keep_seconds, made.leeway_seconds, made.clock) == (7, 8, 9, clock)


def test_token_is_revoked_by_its_id_alone(revocations: RevocationList) -> None:
    """Other tokens of the same user stay good."""
    revocations.revoke_token("t1")
    assert revocations.is_revoked(ann("t1"))
    assert not revocations.is_revoked(ann("t2"))
    assert not revocations.is_revoked(ann(None))


def test_user_is_revoked_with_the_tokens_of_before(revocations: RevocationList) -> None:
    """A token that does not say when it was issued counts as one of before; a later one is good."""
    revocations.revoke_user("ann")
    assert revocations.is_revoked(ann(issued_at=1000.0))
    assert revocations.is_revoked(ann(issued_at=None))
    assert not revocations.is_revoked(ann(issued_at=1001.0))
    assert not revocations.is_revoked(Identity(user="bob"))
    assert not revocations.is_revoked(ANONYMOUS)


def test_revocation_ends_with_the_token(revocations: RevocationList, clock: Clock) -> None:
    """Not before its leeway has passed as well; where the end is not known, `keep_seconds` decides."""
    revocations.revoke_token("t1", expires_at=1050.0)
    revocations.revoke_token("t2")
    clock.now = 1059.0
    assert revocations.is_revoked(ann("t1"))
    clock.now = 1060.0
    assert not revocations.is_revoked(ann("t1"))
    assert revocations.is_revoked(ann("t2"))
    assert revocations.statistics().tokens == 1
    clock.now = 1100.0
    assert not revocations.is_revoked(ann("t2"))
    assert revocations.statistics().tokens == 0


def test_second_revocation_never_shortens_the_first(revocations: RevocationList, clock: Clock) -> None:
    """Whoever revokes twice, with another idea of the end, must not open the door."""
    revocations.revoke_token("t1")
    revocations.revoke_token("t1", expires_at=5.0)
    clock.now = 1099.0
    assert revocations.is_revoked(ann("t1"))


def test_full_list_refuses_rather_than_forgets(revocations: RevocationList, clock: Clock) -> None:
    """Forgetting one would let its bearer in again. The live connections are ended nevertheless."""
    ended = []
    for name in ("t1", "t2"):
        revocations.revoke_token(name)
    revocations.revoke_user("bob")
    with revocations.track(ann("t4"), lambda: ended.append("t4")):
        with pytest.raises(RequestError, match="full with revocations=3") as caught:
            revocations.revoke_token("t4")
        with pytest.raises(RequestError):
            revocations.revoke_user("eve")
        assert caught.value.code is ErrorCode.BUSY
        assert ended == ["t4"]
    revocations.revoke_token("t1")
    revocations.revoke_user("bob")
    assert revocations.is_revoked(ann("t2"))
    clock.now = 1100.0
    revocations.revoke_token("t4")
    assert revocations.statistics().tokens == 1


def test_live_connections_are_ended_at_once_and_only_those_concerned(revocations: RevocationList) -> None:
    """By token or by user, each once, and none after its block."""
    ended: list[str] = []
    with ExitStack() as stack:
        for name, identity in {
            "a1": ann("t1"),
            "a1 again": ann("t1"),
            "a2": ann("t2"),
            "a new": ann("t3", issued_at=None),
            "bob": Identity(user="bob", token_id="t9"),
            "nobody": ANONYMOUS,
        }.items():
            stack.enter_context(revocations.track(identity, lambda name=name: ended.append(name)))  # type: ignore[misc]
        assert revocations.statistics().tracked == 6
        assert revocations.revoke_token("t1") == 2
        assert sorted(ended) == ["a1", "a1 again"]
        assert revocations.revoke_user("ann") == 2
        assert sorted(ended) == ["a new", "a1", "a1 again", "a2"]
        assert revocations.revoke_token("t1") == 0
    assert revocations.revoke_user("bob") == 0
    assert (revocations.statistics().tracked, revocations.statistics().cancelled) == (0, 4)


def test_connection_that_was_revoked_before_it_is_tracked_is_ended_on_entry(revocations: RevocationList) -> None:
    """Between authentication and tracking other tasks may run."""
    ended: list[str] = []
    revocations.revoke_token("t1")
    with revocations.track(ann("t1"), lambda: ended.append("x")):
        assert ended == ["x"]
        revocations.revoke_user("ann")
    assert ended == ["x"]


def test_callback_may_leave_other_blocks_and_may_fail(
    revocations: RevocationList, caplog: pytest.LogCaptureFixture
) -> None:
    """One connection's fault must not save the others, and ending one may end another."""
    ended: list[str] = []
    inner = ExitStack()

    def fail() -> None:
        inner.close()
        raise ValueError("broken")

    with caplog.at_level(logging.ERROR), revocations.track(ann(), fail), revocations.track(ann(), fail):
        inner.enter_context(revocations.track(ann(), lambda: ended.append("inner")))
        assert revocations.revoke_user("ann") == 3
    assert ended == ["inner"]
    assert revocations.statistics().tracked == 0
    assert caplog.text.count("could not be ended after a revocation") == 2
