"""An approval that waits for its decision."""

from __future__ import annotations

import trio
from attrs import define, field

from rtcore.features.approvals.approval import Approval
from rtcore.features.approvals.approval_json import approval_to_wire
from rtcore.hub.timeouts import Timer
from rtcore.protocol.json_codec import json_kept

__all__ = ["OpenApproval"]


@define(eq=False)
class OpenApproval:
    """An approval that waits, and who waits with it."""

    approval: Approval
    stays: bool
    """Whether it stays open though no task of this process waits for it."""
    askers: int = 0
    """Tasks that wait for its decision."""
    over: trio.Event = field(factory=trio.Event)
    """Set when it has ended, or the hub has."""
    timer: Timer | None = None
    _text: bytes | None = None

    @property
    def name(self) -> tuple[str, str]:
        """Of its lock."""
        return self.approval.question.workspace, self.approval.approval_id

    @property
    def deserted(self) -> bool:
        """Whether it is open for nobody any more."""
        return self.approval.is_open and not self.stays and not self.askers

    def become(self, approval: Approval) -> None:
        """Take a step."""
        self.approval = approval
        self._text = None

    def text(self) -> bytes:
        """Its JSON text, made once a step: a thousand approvers may come back at once."""
        if self._text is None:
            self._text = json_kept(approval_to_wire(self.approval))
        return self._text
