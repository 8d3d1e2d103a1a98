"""What may be asked: each bound, with the words of its refusal."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.approvals.approval import Approvers, Question
from rtcore.features.approvals.question import check_reason, lifetime, make_question
from rtcore.features.approvals.settings import ApprovalSettings
from rtcore.store.records import DOCUMENT_BYTES
from rtcore.values.limits import Limits

LIMITS = Limits(approval_bytes=50)


def make(title: Any = "Deploy?", *, limits: Limits = LIMITS, settings: Any = None, **options: Any) -> Question:
    defaults: dict[str, Any] = {
        "details": None,
        "workspace": "w1",
        "approvers": None,
        "quorum": 1,
        "rejections": 1,
        "key": None,
        "durable": False,
        "asked_by": None,
        "own_decision": False,
    }
    return make_question(title, **(defaults | options), limits=limits, settings=settings or ApprovalSettings())


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"title": ""}, ErrorCode.MALFORMED, "title: expected 1 to title_length=200 characters, got 0"),
        ({"title": "x" * 201}, ErrorCode.TOO_LARGE, "title: expected 1 to title_length=200 characters, got 201"),
        ({"title": 5}, ErrorCode.MALFORMED, "title: expected text, got 5"),
        ({"details": "x" * 49}, ErrorCode.TOO_LARGE, "details: 51 bytes of JSON exceed approval_bytes=50"),
        ({"workspace": ""}, ErrorCode.MALFORMED, "workspace: an empty name has no channel"),
        (
            {"workspace": "a:b" * 50},
            ErrorCode.MALFORMED,
            "workspace: channel name of 260 characters exceeds the limit of 255",
        ),
        (
            {"workspace": "\udc00"},
            ErrorCode.MALFORMED,
            "workspace: a name with a lone surrogate has no channel: UTF-8 cannot carry it",
        ),
        ({"quorum": 0}, ErrorCode.MALFORMED, "quorum: expected a whole number from 1 to votes=20, got 0"),
        ({"quorum": 21}, ErrorCode.MALFORMED, "quorum: expected a whole number from 1 to votes=20, got 21"),
        ({"quorum": True}, ErrorCode.MALFORMED, "quorum: expected a whole number from 1 to votes=20, got true"),
        ({"rejections": 1.0}, ErrorCode.MALFORMED, "rejections: expected a whole number from 1 to votes=20, got 1.0"),
        ({"key": ""}, ErrorCode.MALFORMED, "key: expected 1 to 255 characters, got 0"),
        ({"key": "k" * 256}, ErrorCode.TOO_LARGE, "key: expected 1 to 255 characters, got 256"),
        (
            {"durable": True},
            ErrorCode.MALFORMED,
            "key: expected one: a durable approval is found again by its key",
        ),
        ({"asked_by": "u" * 256}, ErrorCode.TOO_LARGE, "asked_by: expected 1 to 255 characters, got 256"),
        ({"approvers": Approvers()}, ErrorCode.MALFORMED, "approvers: expected at least one role or user, got none"),
        (
            {"approvers": Approvers(users={""})},
            ErrorCode.MALFORMED,
            "approvers.users: expected 1 to 255 characters, got 0",
        ),
        (
            {"approvers": Approvers(roles=map(str, range(101)))},
            ErrorCode.TOO_LARGE,
            "approvers.roles: expected at most approvers=100, got 101",
        ),
        (
            {"approvers": Approvers(users={"a", "b"}), "quorum": 3},
            ErrorCode.MALFORMED,
            "quorum: 3 approvals are more than the 2 users who may decide can give",
        ),
        (
            {"approvers": Approvers(users={"a"}), "asked_by": "a"},
            ErrorCode.MALFORMED,
            "quorum: 1 approvals are more than the 0 users who may decide can give",
        ),
    ],
)
def test_question_out_of_bounds_is_refused(options: Any, code: ErrorCode, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        make(**options)
    assert (refused.value.code, refused.value.message) == (code, message)
    assert message.startswith(f"{refused.value.field}: ")


@pytest.mark.parametrize("options", [{"title": "\ud800"}, {"details": math.nan}, {"details": {"a": object()}}])
def test_what_json_cannot_carry_is_refused(options: Any) -> None:
    """It would be written nowhere and told to nobody."""
    with pytest.raises(RequestError) as refused:
        make(**options)
    assert (refused.value.code, refused.value.field) == (ErrorCode.MALFORMED, next(iter(options)))


def test_question_at_its_bounds_is_taken() -> None:
    question = make(
        "x" * 200,
        details="x" * 48,
        key="k" * 255,
        durable=True,
        quorum=20,
        rejections=20,
        approvers=Approvers(roles={"r" * 255}, users={f"u{number}" for number in range(100)}),
    )
    assert question.name == ("w1", None, "k" * 255)


def test_what_could_not_be_told_is_not_taken() -> None:
    """The event of the decision has all votes, and a message has its limit."""
    with pytest.raises(
        RequestError, match=r"with 2 votes .* reason_length=1000, exceeds message_bytes=10000"
    ):
        make(limits=Limits(message_bytes=10_000), quorum=2)
    assert make(limits=Limits(message_bytes=10_000)).quorum == 1


def test_question_leaves_room_for_its_end_in_the_store() -> None:
    """Asked with the last byte of a document, it could never be kept that it has ended: no hub would start with it."""
    limits = Limits(message_bytes=2**24, approval_bytes=2**24)
    with pytest.raises(RequestError, match="exceeds document_bytes=4194304"):
        make(details="x" * (DOCUMENT_BYTES - 1000), limits=limits)
    make(details="x" * (DOCUMENT_BYTES - 20_000), limits=limits)


def test_question_is_not_changed_with_the_details_of_its_caller() -> None:
    details: dict[str, Any] = {"commit": "abc", "files": [1, 2]}
    question = make(details=details)
    details["files"].append(3)
    assert question.details == {"commit": "abc", "files": [1, 2]}


def test_settings_name_the_approvers_and_the_rule_of_own_decisions() -> None:
    settings = ApprovalSettings(approver_roles=["boss"], decide_own=True)
    question = make(settings=settings)
    assert (question.approvers, question.own_decision) == (Approvers(roles={"boss"}), True)


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, 101, True, "5"])
def test_time_out_of_bounds_is_refused(seconds: Any) -> None:
    with pytest.raises(RequestError) as refused:
        lifetime(seconds, ApprovalSettings(maximum_seconds=100.0))
    assert refused.value.field == "expires_after"
    assert refused.value.message.startswith("expires_after: expected a number over 0, up to maximum_seconds=100, got ")


def test_time_is_the_default_of_the_settings() -> None:
    assert lifetime(None, ApprovalSettings()) == 3600.0
    assert lifetime(None, ApprovalSettings(maximum_seconds=5.0)) == 5.0
    assert lifetime(7, ApprovalSettings()) == 7.0


def test_reason_has_a_length() -> None:
    settings = ApprovalSettings()
    check_reason(None, settings)
    check_reason("x" * 1000, settings)
    for reason in ("", "x" * 1001):
        with pytest.raises(RequestError) as refused:
            check_reason(reason, settings)
        assert refused.value.message == f"reason: expected 1 to reason_length=1000 characters, got {len(reason)}"


async def test_code_is_told_what_was_wanted_instead(autojump_clock: Any, open_desk: Any) -> None:
    """And not by what breaks further down: a list of names does not say whether they are roles or users."""
    async with open_desk() as desk:
        approvals = desk.hub.approvals
        with pytest.raises(TypeError) as wrong:
            await approvals.request("x", approvers=["zoe"])
        assert str(wrong.value) == "approvers: expected Approvers(roles=..., users=...), got an array"
        with pytest.raises(TypeError) as wrong:
            Approvers(users=5)  # type: ignore[arg-type]  # what is tested
        assert str(wrong.value) == "roles and users: expected names, such as a set of them, got 5"
        for call, argument in (
            (partial(approvals.open, "x", identity="zoe"), "identity"),
            (partial(approvals.decide, "x", identity="zoe", decision="approve"), "identity"),
            (partial(approvals.withdraw, "x", by="zoe"), "by"),
        ):
            with pytest.raises(TypeError) as wrong:
                await call()
            assert str(wrong.value) == f'{argument}: expected Identity(user=..., workspace=...), got "zoe"'
        for name, value, expected in (
            ("workspace", 5, "text, got 5"),
            ("durable", "yes", 'true or false, got "yes"'),
            ("own_decision", 1, "true or false, got 1"),
            ("asked_by", 0, "text, got 0"),
        ):
            with pytest.raises(RequestError) as refused:
                await approvals.request("x", **({"key": "k"} | {name: value}))
            assert (refused.value.field, refused.value.message) == (name, f"{name}: expected {expected}")


async def test_bounds_are_settings(autojump_clock: Any, open_desk: Any) -> None:
    settings = ApprovalSettings(title_length=300, reason_length=5, votes=30, approvers=2)
    async with open_desk(settings) as desk:
        name = await desk.ask("x" * 300, quorum=30)
        for arguments, message in (
            ({"quorum": 31}, "quorum: expected a whole number from 1 to votes=30, got 31"),
            ({"approvers": Approvers(users={"a", "b", "c"})}, "approvers.users: expected at most approvers=2, got 3"),
        ):
            with pytest.raises(RequestError) as refused:
                await desk.hub.approvals.request("x", **arguments)
            assert refused.value.message == message
        with pytest.raises(RequestError, match="expected 1 to reason_length=5 characters, got 6"):
            await desk.hub.approvals.withdraw(name, reason="123456")
