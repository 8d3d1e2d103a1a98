"""Channels of a workspace."""

from __future__ import annotations

from rtcore.errors import ErrorCode, RequestError
from rtcore.values.channels import check_channel_name

__all__ = ["workspace_channel"]


def workspace_channel(namespace: str, workspace: str | None, *more: str) -> str:
    """
    The name of a channel that belongs to a workspace.

    Args:
        namespace: Its first part.
        workspace: Its second; None: of somebody who has none.
        more: What follows.

    Raises:
        RequestError: If there is no workspace, or none that a channel can be named after: its members could not be
            told anything.
    """
    if not workspace:
        raise RequestError(ErrorCode.DENIED, f"{namespace} needs a workspace, and the token names none")
    name = ":".join((namespace, workspace, *more))
    try:
        if ":" in workspace:
            raise ValueError("it has a colon")
        return check_channel_name(name)
    except ValueError as error:
        problem = f"no channel of {namespace} can be named after this workspace: {error}"
        raise RequestError(ErrorCode.DENIED, problem) from error
