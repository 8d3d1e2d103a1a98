"""Who is at the other end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import field, frozen

__all__ = ["ANONYMOUS", "DEFAULT_WORKSPACE", "NOBODY", "Identity"]

DEFAULT_WORKSPACE: Final = "default"
"""The workspace of whoever needs no token, and of what is published for nobody's in particular."""


def _roles(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


@frozen(kw_only=True)
class Identity:
    """What a verified token says of its bearer."""

    user: str
    """Subject of the token; empty for nobody in particular."""
    workspace: str | None = None
    """The workspace that the bearer belongs to."""
    roles: frozenset[str] = field(default=frozenset(), converter=_roles)
    token_id: str | None = None
    """The token's `jti`, by which it can be revoked."""
    expires_at: float | None = None
    """End of validity, in Unix seconds; None when it does not end."""
    issued_at: float | None = None
    """When the token was issued (`iat`), in Unix seconds; None when it does not say."""

    @property
    def anonymous(self) -> bool:
        """True when no token stands behind this identity."""
        return not self.user


ANONYMOUS = Identity(user="", workspace=DEFAULT_WORKSPACE)
"""The identity of a connection without a token; the server gives it the roles of its settings."""
NOBODY: Final = Identity(user="")
"""Whoever has no token at a door that is open to all on a server where others need one: no role, no workspace."""
