"""Channels of a workspace."""

from __future__ import annotations

from rtcore.errors import ErrorCode, RequestError
from rtcore.values.channels import check_channel_name, own_channel
from rtcore.values.shown import show

__all__ = ["workspace_channel"]


def workspace_channel(namespace: str, workspace: str | None, *more: str) -> str:
    """
    The name of a channel that belongs to a workspace.

    Args:
        namespace: Its first part.
        workspace: Whose, as tokens have it; None: of somebody who has none.
        more: What follows, as it is.

    Raises:
        TypeError: If code gives something else.
        RequestError: If there is no workspace, or the channel's name would be too long: its members could not be told
            anything.
    """
    if not isinstance(workspace, str | None):
        raise TypeError(f"workspace: expected text, got {show(workspace)}")
    if not workspace:
        raise RequestError(ErrorCode.DENIED, f"{namespace} needs a workspace, and the token names none")
    try:
        return check_channel_name(":".join((own_channel(namespace, workspace), *more)))
    except ValueError as error:
        problem = f"no channel of {namespace} can be named after the workspace {show(workspace)}: {error}"
        raise RequestError(ErrorCode.DENIED, problem) from error
