"""What tests of several floors share."""

from __future__ import annotations

import pytest

from tests.tls_contexts import Tls, make_contexts


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Contexts of a server and of a client that trusts it."""
    return make_contexts(tmp_path_factory.mktemp("tls"))
