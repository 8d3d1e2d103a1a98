"""Approvals as JSON: documents of the store, and what clients are told."""

from __future__ import annotations

from typing import Any, Final

from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from rtcore.errors import StoreError
from rtcore.features.approvals.approval import Approval, Approvers, AuditStep, Ending, Question, Vote
from rtcore.protocol.json_codec import json_dumps
from rtcore.values.events import Json, format_timestamp
from rtcore.values.shown import show

__all__ = [
    "approval_to_wire",
    "document_of",
    "ending_to_wire",
    "event_data",
    "read_document",
    "step_to_wire",
    "text_for",
    "text_of",
    "vote_to_wire",
]

VERSION: Final = 1
"""Of the documents; another one is another rtcore's."""


def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, unstruct_collection_overrides={frozenset: sorted})
    untouched = override(struct_hook=lambda value, _: value, unstruct_hook=lambda value: value)
    omitted = override(omit=True)
    structure = make_dict_structure_fn(
        Question, converter, _cattrs_forbid_extra_keys=True, details=untouched, left_to_settings=omitted
    )
    unstructure = make_dict_unstructure_fn(Question, converter, details=untouched, left_to_settings=omitted)
    converter.register_structure_hook(Question, structure)
    converter.register_unstructure_hook(Question, unstructure)
    return converter


_CONVERTER: Final = _converter()


def document_of(approval: Approval) -> Json:
    """All of an approval, for the store."""
    document: dict[str, Json] = _CONVERTER.unstructure(approval)
    return {"version": VERSION, **document}


def read_document(key: str, document: Json) -> Approval:
    """
    The approval of a document.

    Raises:
        StoreError: If it is another program's, a newer rtcore's, or damaged.
    """
    if not isinstance(document, dict) or document.get("version") != VERSION:
        version = document.get("version") if isinstance(document, dict) else None
        raise StoreError(f"approvals/{key}: expected version {VERSION} of a document, got {show(version)}")
    fields = {name: value for name, value in document.items() if name != "version"}
    try:
        return _CONVERTER.structure(fields, Approval)
    except Exception as error:  # cattrs raises what its hooks raise, alone or in groups
        raise StoreError(f"approvals/{key}: the document is damaged: {error}") from error


def approval_to_wire(approval: Approval) -> dict[str, Json]:
    """What clients are told of an approval; `None` is left out."""
    question = approval.question
    told: dict[str, Json] = {
        "approval_id": approval.approval_id,
        "workspace": question.workspace,
        "title": question.title,
        "details": question.details,
        "status": approval.status,
        "asked_by": question.asked_by,
        "asked_at": format_timestamp(approval.asked_at),
        "expires_at": format_timestamp(approval.expires_at),
        "approvers": _approvers_to_wire(question.approvers),
        "quorum": question.quorum,
        "rejections": question.rejections,
        "key": question.key,
        "durable": question.durable,
        "votes": [vote_to_wire(vote) for vote in approval.votes],
        "decision": None if approval.ending is None else ending_to_wire(approval.ending),
    }
    return {name: value for name, value in told.items() if value is not None}


def _approvers_to_wire(approvers: Approvers) -> dict[str, Json]:
    return {"roles": [*sorted(approvers.roles)], "users": [*sorted(approvers.users)]}


def vote_to_wire(vote: Vote) -> dict[str, Json]:
    """Who said what, why and when."""
    told: dict[str, Json] = {"user": vote.user, "decision": vote.choice.value, "at": format_timestamp(vote.at)}
    return told if vote.reason is None else {**told, "reason": vote.reason}


def ending_to_wire(ending: Ending) -> dict[str, Json]:
    """How it ended."""
    told: dict[str, Json] = {
        "outcome": ending.outcome.value,
        "at": format_timestamp(ending.at),
        "by": ending.by,
        "reason": ending.reason,
    }
    return {name: value for name, value in told.items() if value is not None}


def step_to_wire(step: AuditStep) -> dict[str, Json]:
    """One line of the audit trail."""
    told: dict[str, Any] = {  # Any: mypy joins the values to object
        "approval_id": step.approval_id,
        "step": step.step,
        "at": format_timestamp(step.at),
        "who": step.who,
        "what": step.what,
        "why": step.why,
    }
    return {name: value for name, value in told.items() if value is not None}


def text_of(approval: Approval, *, can_decide: bool) -> bytes:
    """JSON text of an approval as one reader sees it."""
    return text_for(json_dumps(approval_to_wire(approval)), can_decide=can_decide)


def text_for(text: bytes, *, can_decide: bool) -> bytes:
    """The same, where the text that all readers share is at hand."""
    return text[:-1] + (b',"can_decide":true}' if can_decide else b',"can_decide":false}')


def event_data(approval: Approval, **more: Json) -> dict[str, Json]:
    """What every event after the first says, and more."""
    question = approval.question
    return {
        "approval_id": approval.approval_id,
        "workspace": question.workspace,
        "title": question.title,
        "status": approval.status,
        **more,
    }
