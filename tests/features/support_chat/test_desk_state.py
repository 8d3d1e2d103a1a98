"""What a desk knows of its sessions, agents and messages; and what of it outlives the sessions."""

from __future__ import annotations

from typing import Any

import pytest

from rtcore.errors import RequestError
from rtcore.features.support_chat.analytics import Analytics, Buckets, merged_messages, merged_satisfaction
from rtcore.features.support_chat.chat_values import (
    AgentStatus,
    ChatMessage,
    MessageKind,
    MessageStatus,
    SessionStatus,
)
from rtcore.features.support_chat.desk_state import DeskState
from rtcore.features.support_chat.settings import SupportChatSettings

DAY = 86400.0


def desk(**settings: Any) -> DeskState:
    return DeskState(SupportChatSettings(**settings))


def message(message_id: str, when: float = 0.0, **fields: Any) -> ChatMessage:
    given: dict[str, Any] = {"sender": "carol", "from_agent": False, "kind": MessageKind.TEXT, "text": "hello"}
    return ChatMessage(**{"message_id": message_id, "status": MessageStatus.SENT, "timestamp": when, **given, **fields})


def test_session_lives_from_the_queue_to_its_end() -> None:
    state = desk()
    session = state.open("s1", "carol", "refund", 100.0)
    assert (session.status, session.wait_seconds(130.0)) == (SessionStatus.WAITING, 30.0)
    state.assign("s1", "a1", 160.0)
    assert (session.status, session.wait_seconds(999.0)) == (SessionStatus.ACTIVE, 60.0)
    state.add_message("s1", message("m1", 170.0))
    state.add_message("s1", message("m2", 190.0, from_agent=True))
    state.end("s1", 260.0)
    state.rate("s1", 4, 261.0)
    agent = state.agents["a1"].document()
    assert agent["sessionsHandled"] == 1
    assert agent["averageTalkSeconds"] == 100.0
    assert agent["averageAnswerSeconds"] == 90.0
    assert agent["averageRating"] == 4.0
    assert list(state.of_status(SessionStatus.ACTIVE)) == []
    assert [each.session_id for each in state.newest_ended(5)] == ["s1"]


def test_handing_over_counts_the_wait_once() -> None:
    state = desk()
    state.open("s1", "c", "", 0.0)
    state.assign("s1", "a1", 10.0)
    state.assign("s1", "a2", 50.0)
    assert (state.analytics.waited, state.analytics.waited_seconds) == (1, 10.0)
    assert state.sessions["s1"].agent_id == "a2"


def test_unread_marks_are_of_the_customers_messages() -> None:
    state = desk()
    session = state.open("s1", "c", "", 0.0)
    for number in range(3):
        state.add_message("s1", message(f"m{number}"))
    state.add_message("s1", message("m9", from_agent=True))
    assert session.unread == 3
    state.mark_read("s1")
    assert session.unread == 0


def test_status_of_a_message_moves_between_the_counts() -> None:
    state = desk()
    state.open("s1", "c", "", 0.0)
    state.add_message("s1", message("m1"))
    state.change_message("s1", "m1", MessageStatus.READ)
    assert state.analytics.statuses[MessageStatus.SENT] == 0
    assert state.analytics.statuses[MessageStatus.READ] == 1


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda state: state.open("s1", "c", "", 0.0), "session_id: there is one already"),
        (lambda state: state.assign("nope", "a", 0.0), "session_id: no such session"),
        (lambda state: state.end("over", 0.0), "session_id: the session has ended"),
        (lambda state: state.add_message("over", message("m")), "session_id: the session has ended"),
        (lambda state: state.mark_read("over"), "session_id: the session has ended"),
        (lambda state: state.rate("s1", 6, 0.0), "stars: expected a whole number from 1 to 5, got 6"),
        (lambda state: state.rate("s1", True, 0.0), "stars: expected a whole number from 1 to 5, got true"),
        (lambda state: state.rate("over", 5, 0.0), "session_id: rated already"),
        (lambda state: state.change_message("s1", "nope", MessageStatus.READ), "message_id: no such message"),
        (lambda state: state.set_agent("a3", AgentStatus.IDLE, None), "2 agents are known already: agents=2"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(act: Any, text: str) -> None:
    state = desk(agents=2)
    state.open("over", "c", "", 0.0)
    state.assign("over", "a1", 0.0)
    state.rate("over", 1, 0.0)
    state.end("over", 0.0)
    state.open("s1", "c", "", 0.0)
    state.set_agent("a2", AgentStatus.IDLE, None)
    before = (dict(state.sessions), dict(state.agents), state.analytics.stars.copy())
    with pytest.raises(RequestError) as caught:
        act(state)
    assert caught.value.message == text
    assert (state.sessions, state.agents, state.analytics.stars) == before


def test_sessions_that_ended_first_make_room() -> None:
    state = desk(sessions=2)
    for name in ("s1", "s2"):
        state.open(name, "c", "", 0.0)
    with pytest.raises(RequestError, match="sessions=2"):
        state.open("s3", "c", "", 0.0)
    state.end("s2", 1.0)
    state.open("s3", "c", "", 2.0)
    assert set(state.sessions) == {"s1", "s3"}


def test_newest_messages_are_kept() -> None:
    state = desk(messages=2)
    session = state.open("s1", "c", "", 0.0)
    for number in range(4):
        state.add_message("s1", message(f"m{number}"))
    assert list(session.messages) == ["m2", "m3"]
    assert state.analytics.kinds[MessageKind.TEXT] == 4


def test_waiting_are_counted_as_they_come_and_go() -> None:
    """The figure is kept, not counted anew for each dashboard."""
    state = desk()
    for name in ("s1", "s2", "s3"):
        state.open(name, "c", "", 0.0)
    state.assign("s1", "a1", 1.0)
    state.assign("s1", "a2", 2.0)
    state.end("s2", 3.0)
    state.end("s1", 4.0)
    assert state.waiting == len(list(state.of_status(SessionStatus.WAITING))) == 1


def test_buckets_keep_the_newest_in_order() -> None:
    buckets = Buckets(10, 3)
    for when in (5.0, 9.0, 31.0, 12.0, 35.0):
        buckets.add(when, 1)
    assert [(each.start, each.count) for each in buckets.recent(35.0)] == [(10, 1), (30, 2)]
    assert [(each.start, each.count) for each in buckets.recent(55.0)] == [(30, 2)]
    assert buckets.recent(1000.0) == []


def test_figures_of_several_desks_are_one() -> None:
    first, second = Analytics(), Analytics()
    for part, stars in ((first, 5), (first, 5), (second, 2)):
        part.stars[stars] += 1
        part.days.add(DAY * 10, stars)
        part.kinds[MessageKind.IMAGE] += 1
        part.hours.add(DAY * 10)
    satisfaction = merged_satisfaction([first, second], DAY * 10)
    assert satisfaction["average"] == 4.0
    assert satisfaction["distribution"] == {"1": 0, "2": 1, "3": 0, "4": 0, "5": 2}
    assert satisfaction["trend"] == [{"day": "1970-01-11", "average": 4.0, "count": 3}]
    messages = merged_messages([first, second], DAY * 10)
    assert messages["total"] == 3
    assert messages["perHour"] == [{"hour": "1970-01-11T00:00:00.000Z", "count": 3}]
    assert merged_satisfaction([], 0.0)["average"] is None
