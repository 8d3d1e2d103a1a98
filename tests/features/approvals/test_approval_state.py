"""The rules of deciding, without a hub: time is an argument."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.approvals.approval import Approval, Approvers, Choice, Decision, Outcome
from rtcore.features.approvals.approval_json import document_of, read_document
from rtcore.features.approvals.approval_state import can_decide, cast_vote, end
from rtcore.values.identity import Identity


def vote(approval: Approval, votes: str, person: Any) -> Approval:
    """`a:yes b:no`: users and what they say, one second apart."""
    for place, each in enumerate(votes.split()):
        user, _, said = each.partition(":")
        choice = Choice.APPROVE if said == "yes" else Choice.REJECT
        approval = cast_vote(approval, person(user), choice, None, 101.0 + place)
    return approval


@pytest.mark.parametrize(
    ("quorum", "rejections", "votes", "status"),
    [
        (1, 1, "", "open"),
        (1, 1, "a:yes", "approved"),
        (1, 1, "a:no", "rejected"),
        (2, 1, "a:yes", "open"),
        (2, 1, "a:yes b:yes", "approved"),
        (2, 1, "a:yes b:no", "rejected"),
        (2, 2, "a:no b:yes c:yes", "approved"),
        (2, 2, "a:no b:yes c:no", "rejected"),
        (3, 2, "a:yes b:yes c:no", "open"),
    ],
)
def test_votes_decide_by_quorum(
    approval: Any, person: Any, quorum: int, rejections: int, votes: str, status: str
) -> None:
    """As many approvals as were asked for, or as many rejections; whichever comes first."""
    voted = vote(approval(quorum=quorum, rejections=rejections), votes, person)
    assert voted.status == status
    assert len(voted.votes) == len(votes.split()), "each vote is kept, with who and when"


@pytest.mark.parametrize(
    ("votes", "then", "code", "message"),
    [
        ("a:yes", "b:no", ErrorCode.CONFLICT, "the approval was approved by a already"),
        ("a:no", "b:yes", ErrorCode.CONFLICT, "the approval was rejected by a already"),
        ("a:yes", "a:no", ErrorCode.CONFLICT, "the approval was approved by a already"),
    ],
)
def test_first_answer_wins(approval: Any, person: Any, votes: str, then: str, code: ErrorCode, message: str) -> None:
    decided = vote(approval(), votes, person)
    with pytest.raises(RequestError) as refused:
        vote(decided, then, person)
    assert (refused.value.code, refused.value.message) == (code, message)


def test_nobody_votes_twice(approval: Any, person: Any) -> None:
    """Neither the other way, nor for two."""
    once = vote(approval(quorum=2), "a:yes", person)
    with pytest.raises(RequestError, match="you have voted already: approve"):
        cast_vote(once, person("a"), Choice.REJECT, None, 102.0)
    with pytest.raises(RequestError, match="you have voted already: approve"):
        cast_vote(once, person("a"), Choice.APPROVE, "another reason", 102.0)


def test_the_same_vote_again_is_the_same_vote(approval: Any, person: Any) -> None:
    """A client that lost the reply sends its request again, perhaps when all is over."""
    open = vote(approval(quorum=2), "a:yes", person)
    assert vote(open, "a:yes", person) is open
    decided = vote(open, "b:yes", person)
    assert vote(decided, "a:yes", person) is decided
    expired = end(open, Outcome.EXPIRED, 200.0)
    assert vote(expired, "a:yes", person) is expired


@pytest.mark.parametrize(
    ("question", "identity", "message"),
    [
        ({}, {"user": "a", "roles": ["reader"]}, "only roles approver may decide this approval"),
        (
            {"approvers": Approvers(roles={"ops", "it"}, users={"zoe"})},
            {"user": "a", "roles": ["approver"]},
            "only roles it, ops and users zoe may decide this approval",
        ),
        ({"asked_by": "a"}, {"user": "a", "roles": ["approver"]}, "nobody decides what he asked himself"),
        ({"asked_by": ""}, {"user": "", "roles": ["approver"]}, "nobody decides what he asked himself"),
    ],
)
def test_only_others_who_are_approvers_decide(approval: Any, question: Any, identity: Any, message: str) -> None:
    who = Identity(workspace="default", **identity)
    with pytest.raises(RequestError) as refused:
        cast_vote(approval(**question), who, Choice.APPROVE, None, 101.0)
    assert (refused.value.code, refused.value.message) == (ErrorCode.DENIED, message)
    assert not can_decide(approval(**question), who)


def test_own_decision_is_allowed_where_the_question_says_so(approval: Any, person: Any) -> None:
    question = approval(asked_by="a", own_decision=True)
    assert can_decide(question, person("a"))
    assert vote(question, "a:yes", person).status == "approved"


def test_named_user_decides_without_a_role(approval: Any) -> None:
    question = approval(approvers=Approvers(users={"zoe"}))
    zoe = Identity(user="zoe", workspace="default")
    assert can_decide(question, zoe)
    assert cast_vote(question, zoe, Choice.APPROVE, "fine", 101.0).decision().votes[0].user == "zoe"


def test_what_has_expired_takes_no_vote_although_nobody_noticed_yet(approval: Any, person: Any) -> None:
    """The end of its time is a fact; the timer that tells it may come a moment later."""
    question = approval()
    assert cast_vote(question, person("a"), Choice.APPROVE, None, 199.999).status == "approved"
    with pytest.raises(RequestError, match="the approval has expired already"):
        cast_vote(question, person("a"), Choice.APPROVE, None, 200.0)


def test_who_can_decide_is_told_beforehand(approval: Any, person: Any) -> None:
    question = approval(quorum=2)
    assert can_decide(question, person("a"))
    assert not can_decide(question, person("a", workspace="other"))
    assert not can_decide(vote(question, "a:yes", person), person("a"))
    assert can_decide(vote(question, "a:yes", person), person("b"))
    assert not can_decide(vote(question, "a:no", person), person("b"))


def test_decision_says_who_decided_why_and_when(approval: Any, person: Any) -> None:
    voted = cast_vote(approval(quorum=2), person("a"), Choice.APPROVE, "looks good", 110.0)
    decided = cast_vote(voted, person("b"), Choice.APPROVE, "so it does", 120.0).decision()
    assert (decided.approved, decided.rejected, decided.expired) == (True, False, False)
    assert (decided.at, decided.reason) == (120.0, "so it does")
    assert [(v.user, v.choice, v.reason, v.at) for v in decided.votes] == [
        ("a", "approve", "looks good", 110.0),
        ("b", "approve", "so it does", 120.0),
    ]


def test_decision_is_no_bool() -> None:
    """`if await hub.approvals.request(...)` would take every no for a yes."""
    decision = Decision(approval_id="a", outcome=Outcome.REJECTED, at=1.0, reason=None, votes=())
    with pytest.raises(TypeError, match="ask decision"):
        bool(decision)


def test_audit_trail_has_every_step(approval: Any, person: Any) -> None:
    voted = vote(approval(quorum=2, asked_by="eve"), "a:yes b:no", person)
    assert [(s.step, s.at, s.who, s.what) for s in voted.audit()] == [
        ("asked", 100.0, "eve", "Deploy?"),
        ("voted", 101.0, "a", "approve"),
        ("voted", 102.0, "b", "reject"),
        ("decided", 102.0, "b", "rejected"),
    ]
    over = end(approval(), Outcome.EXPIRED, 200.0)
    assert [s.step for s in over.audit()] == ["asked", "expired"]
    back = end(approval(), Outcome.WITHDRAWN, 150.0, by="eve", reason="never mind")
    assert [(s.step, s.who, s.why) for s in back.audit()][1] == ("withdrawn", "eve", "never mind")


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"details": {"a": [1, None, {"b": "é"}]}, "key": "k", "durable": True, "asked_by": ""},
        {"approvers": Approvers(roles={"x", "y"}, users={"z"}), "own_decision": True, "details": "text"},
    ],
)
def test_document_holds_all_of_an_approval(approval: Any, person: Any, question: Any) -> None:
    whole = approval(**question)
    for each in (whole, end(whole, Outcome.WITHDRAWN, 150.0, by="x", reason="y")):
        assert read_document("default/a1", document_of(each)) == each
    voted = cast_vote(approval(), person("q"), Choice.REJECT, "no", 130.0)
    assert read_document("default/a1", document_of(voted)) == voted


def test_value_never_changes(approval: Any, person: Any) -> None:
    """Whoever holds one holds that moment; a step that cannot be written leaves no trace."""
    question = approval()
    before = evolve(question)
    vote(question, "a:yes", person)
    assert question == before
