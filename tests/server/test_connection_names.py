"""Names of connections: unique, and as they are documented."""

from __future__ import annotations

import re

from rtcore.server.connection_names import ConnectionNames


def test_no_name_is_given_twice() -> None:
    """Over several blocks, and by two servers in one process."""
    names = [source.take() for source in (ConnectionNames(), ConnectionNames()) for _ in range(1000)]
    assert len(set(names)) == 2000
    assert all(re.fullmatch(r"[0-9a-f]{16}", name) for name in names)
