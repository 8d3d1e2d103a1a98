"""What tests of several floors share."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.tls_contexts import Tls, make_contexts

# How long a machine takes to think of an example says nothing of rtcore: it may be busy, or watch memory as it goes.
settings.register_profile("rtcore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rtcore")


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Contexts of a server and of a client that trusts it."""
    return make_contexts(tmp_path_factory.mktemp("tls"))
