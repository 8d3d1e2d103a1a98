"""Bounds of what is asked: every way to ask ends here, in the server's code as over the wire."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NoReturn

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.approvals.approval import Approvers, Question
from rtcore.features.approvals.settings import ApprovalSettings
from rtcore.protocol.json_codec import json_dumps, json_loads
from rtcore.store.records import DOCUMENT_BYTES
from rtcore.values.channels import own_channel
from rtcore.values.events import Json
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits
from rtcore.values.shown import show

__all__ = [
    "KEY_LENGTH",
    "NAMESPACE",
    "NAME_LENGTH",
    "channel_of",
    "check_identity",
    "check_reason",
    "check_workspace",
    "lifetime",
    "make_question",
    "workspace_of",
]

NAMESPACE: Final = "approvals"
"""Namespace of its channels: one for each workspace."""
KEY_LENGTH: Final = 255
"""Longest key, in characters: as those of events, and over HTTP."""
NAME_LENGTH: Final = 255
"""Longest role or user, in characters: as in tokens."""
_CHARACTER_BYTES: Final = 6
"""Most bytes of a character in JSON: a control character is escaped."""
_VOTE_BYTES: Final = 100
"""What a vote has in JSON beside its reason and the name."""
_EVENT_BYTES: Final = 2048
"""What an event has beside the approval: its envelope, and times."""


def channel_of(workspace: str) -> str:
    """The channel of a workspace's approvals; ValueError where its name would be too long."""
    return own_channel(NAMESPACE, workspace)


def workspace_of(identity: Identity) -> str:
    """The workspace of a client; RequestError `access.denied` where it has none, or it has no channel: no approvals."""
    check_identity("identity", identity)
    workspace = identity.workspace
    if not workspace:
        raise RequestError(ErrorCode.DENIED, "there are no approvals without a token that names a workspace")
    try:
        channel_of(workspace)
    except ValueError as error:  # the token's: no field that the client could mend
        problem = f"no channel of approvals can be named after the workspace {show(workspace)}: {error}"
        raise RequestError(ErrorCode.DENIED, problem) from error
    return workspace


def check_identity(argument: str, identity: object) -> None:
    """TypeError where code gives something else, such as the name of a user."""
    if not isinstance(identity, Identity):
        raise TypeError(f"{argument}: expected Identity(user=..., workspace=...), got {show(identity)}")


def make_question(
    title: str,
    *,
    details: Json,
    workspace: str,
    approvers: Approvers | None,
    quorum: int,
    rejections: int,
    key: str | None,
    durable: bool,
    asked_by: str | None,
    own_decision: bool,
    limits: Limits,
    settings: ApprovalSettings,
) -> Question:
    """
    A question within its bounds.

    Raises:
        RequestError: With the name of the argument that is not acceptable, and its limit.
    """
    check_workspace(workspace)
    _check_text("title", title, settings.title_length, "title_length")
    if key is not None:
        _check_text("key", key, KEY_LENGTH)
    if durable and key is None:
        _refuse("key", "expected one: a durable approval is found again by its key")
    if asked_by is not None and asked_by != "":
        _check_text("asked_by", asked_by, NAME_LENGTH)
    for name, value in (("durable", durable), ("own_decision", own_decision)):
        if not isinstance(value, bool):
            _refuse(name, f"expected true or false, got {show(value)}")
    question = Question(
        title=title,
        details=_own_copy(details, limits),
        workspace=workspace,
        approvers=_checked_approvers(approvers, settings),
        quorum=_checked_count("quorum", quorum, settings),
        rejections=_checked_count("rejections", rejections, settings),
        key=key,
        durable=durable,
        asked_by=asked_by,
        own_decision=own_decision or settings.decide_own,
        left_to_settings=_left_to_settings(approvers, own_decision),
    )
    _check_quorum(question)
    _check_events(question, limits, settings)
    return question


def lifetime(expires_after: float | None, settings: ApprovalSettings) -> float:
    """
    Seconds that an approval waits.

    Raises:
        RequestError: If it is not a number over 0, up to `maximum_seconds`.
    """
    if expires_after is None:
        return min(settings.expires_seconds, settings.maximum_seconds)
    most = settings.maximum_seconds
    right = isinstance(expires_after, int | float) and not isinstance(expires_after, bool)
    if not right or not 0 < expires_after <= most or math.isnan(expires_after):
        expected = f"a number over 0, up to maximum_seconds={most:.15g}"
        _refuse("expires_after", f"expected {expected}, got {show(expires_after)}")
    return float(expires_after)


def check_reason(reason: str | None, settings: ApprovalSettings) -> None:
    """Raise RequestError where it is longer than a reason may be."""
    if reason is not None:
        _check_text("reason", reason, settings.reason_length, "reason_length")


def check_workspace(workspace: str) -> None:
    """Raise RequestError where a workspace can have no channel, and so no approvals."""
    if not isinstance(workspace, str):
        _refuse("workspace", f"expected text, got {show(workspace)}")
    try:
        channel_of(workspace)
    except ValueError as error:
        raise RequestError(ErrorCode.MALFORMED, f"workspace: {error}", field="workspace") from error


def _own_copy(details: Json, limits: Limits) -> Json:
    """What the caller changes later does not change the question."""
    text = json_dumps(details, field="details")
    if len(text) > limits.approval_bytes:
        problem = f"{len(text)} bytes of JSON exceed approval_bytes={limits.approval_bytes}"
        _refuse("details", problem, ErrorCode.TOO_LARGE)
    return json_loads(text, limits.json_depth)


def _checked_approvers(approvers: Approvers | None, settings: ApprovalSettings) -> Approvers:
    if approvers is None:
        return Approvers(roles=settings.approver_roles)
    if not isinstance(approvers, Approvers):  # a list of names does not say whether they are roles or users
        raise TypeError(f"approvers: expected Approvers(roles=..., users=...), got {show(approvers)}")
    for kind, names in (("roles", approvers.roles), ("users", approvers.users)):
        if len(names) > settings.approvers:
            problem = f"expected at most approvers={settings.approvers}, got {len(names)}"
            _refuse(f"approvers.{kind}", problem, ErrorCode.TOO_LARGE)
        _check_names(f"approvers.{kind}", names)
    if not approvers.roles and not approvers.users:
        _refuse("approvers", "expected at least one role or user, got none")
    return approvers


def _check_names(field: str, names: Iterable[str]) -> None:
    for name in names:
        _check_text(field, name, NAME_LENGTH)


def _left_to_settings(approvers: Approvers | None, own_decision: bool) -> frozenset[str]:
    left = {"approvers": approvers is None, "own_decision": not own_decision}
    return frozenset(name for name, is_left in left.items() if is_left)


def _checked_count(field: str, count: int, settings: ApprovalSettings) -> int:
    if type(count) is not int or not 1 <= count <= settings.votes:
        _refuse(field, f"expected a whole number from 1 to votes={settings.votes}, got {show(count)}")
    return count


def _check_quorum(question: Question) -> None:
    """Where the approvers can be counted, enough of them must be there."""
    if question.approvers.roles:
        return
    able = question.approvers.users - (set() if question.own_decision else {question.asked_by})
    if len(able) < question.quorum:
        _refuse("quorum", f"{question.quorum} approvals are more than the {len(able)} users who may decide can give")


def _check_events(question: Question, limits: Limits, settings: ApprovalSettings) -> None:
    """What is asked must be told and kept to its end: what would not fit, with all its votes, is not taken at all."""
    approvers = question.approvers
    told = [question.title, question.details, question.key, question.asked_by, [*approvers.roles, *approvers.users]]
    votes = question.quorum + question.rejections - 1
    vote_bytes = (settings.reason_length + NAME_LENGTH) * _CHARACTER_BYTES + _VOTE_BYTES
    most = len(json_dumps(told)) + votes * vote_bytes + _EVENT_BYTES
    bounds = {"message_bytes": limits.message_bytes, "document_bytes": DOCUMENT_BYTES}
    bound = min(bounds, key=lambda name: bounds[name])
    if most > bounds[bound]:
        problem = (
            f"an approval of up to {most} bytes, with {votes} votes that have reasons of "
            f"reason_length={settings.reason_length}, exceeds {bound}={bounds[bound]}"
        )
        _refuse("details", problem, ErrorCode.TOO_LARGE)


def _check_text(field: str, value: object, most: int, setting: str | None = None) -> None:
    if not isinstance(value, str):
        _refuse(field, f"expected text, got {show(value)}")
    if not 1 <= len(value) <= most:
        code = ErrorCode.TOO_LARGE if len(value) > most else ErrorCode.MALFORMED
        limit = f"{most}" if setting is None else f"{setting}={most}"
        _refuse(field, f"expected 1 to {limit} characters, got {len(value)}", code)
    json_dumps(value, field=field)  # a lone surrogate could not be told to anybody


def _refuse(field: str, problem: str, code: ErrorCode = ErrorCode.MALFORMED) -> NoReturn:
    raise RequestError(code, f"{field}: {problem}", field=field)
