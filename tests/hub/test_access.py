"""Who may read and publish where."""

from __future__ import annotations

import pytest

from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.access import AccessRules
from rtcore.values.channels import Namespace, Scope
from rtcore.values.identity import ANONYMOUS, NOBODY, Identity

RULES = AccessRules(
    {
        "ops": Namespace(read_roles=frozenset({"operator"}), publish_roles=frozenset({"operator", "bot"})),
        "open": Namespace(publish_roles=None),
        "closed": Namespace(read_roles=frozenset(), publish_roles=frozenset()),
        "inbox": Namespace(scope=Scope.USER, publish_roles=None),
        "team": Namespace(scope=Scope.WORKSPACE),
        "notes": Namespace(scope=Scope.MEMBER, publish_roles=None),
    }
)


def person(user: str = "ann", workspace: str | None = "blue", *roles: str) -> Identity:
    return Identity(user=user, workspace=workspace, roles=frozenset(roles))


@pytest.mark.parametrize(
    ("identity", "channel", "read", "publish"),
    [
        (person(), "tasks", True, False),
        (person("ann", None, "publisher"), "tasks", True, True),
        (person("ann", None, "admin"), "tasks:1", True, True),
        (ANONYMOUS, "tasks", True, False),
        (person(), "ops", False, False),
        (person("ann", None, "operator"), "ops:deploy", True, True),
        (person("ann", None, "bot"), "ops", False, True),
        (person("ann", None, "admin", "publisher"), "ops", False, False),
        (ANONYMOUS, "open:x", True, True),
        (NOBODY, "open:x", True, False),
        (NOBODY, "tasks", True, False),
        (person("ann", None, "admin"), "closed", False, False),
        (person(), "inbox:ann", True, True),
        (person(), "inbox:ann:mail", True, True),
        (person(), "inbox:anna", False, False),
        (person(), "inbox:bob", False, False),
        (person(), "inbox:bob:ann", False, False),
        (person("ann", None, "admin"), "inbox:bob", False, False),
        (person(), "inbox", False, False),
        (ANONYMOUS, "inbox:", False, False),
        (ANONYMOUS, "inbox::x", False, False),
        (person("ann:mail"), "inbox:ann:mail", False, False),
        (person("ann:mail"), "inbox:ann~3Amail", True, True),
        (person("a@b"), "inbox:a~40b", True, True),
        (person("a@b"), "inbox:a~40b:mail", True, True),
        (person("a@b"), "inbox:a@b", False, False),
        (person("a@b"), "inbox:a", False, False),
        (person("a~40b"), "inbox:a~40b", False, False),
        (person("a~40b"), "inbox:a~7E40b", True, True),
        (person("Zoë"), "inbox:Zo~C3~AB", True, True),
        (person("Zoë"), "inbox:Zo~c3~ab", False, False),
        (person("ann"), "inbox:~61nn", False, False),
        (person("a\udc00"), "inbox:a~ED~B0~80", False, False),
        (person("a\udc00"), "inbox:a", False, False),
        (person("~"), "inbox:~7E", True, True),
        (person("ann", "blue"), "notes:blue:ann", True, True),
        (person("ann", "blue"), "notes:blue:ann:x", True, True),
        (person("ann", "blue"), "notes:blue", False, False),
        (person("b:c", "a"), "notes:a:b~3Ac", True, True),
        (person("b:c", "a"), "notes:a:b:c", False, False),
        (person("c", "a:b"), "notes:a~3Ab:c", True, True),
        (person("c", "a:b"), "notes:a:b:c", False, False),
        (person("c", "a:b"), "notes:a:b~3Ac", False, False),
        (person("b:c", "a"), "notes:a~3Ab:c", False, False),
        (person("", "a"), "notes:a:", False, False),
        (person("a", ""), "notes::a", False, False),
        (person("a\udc00", "a"), "notes:a:a", False, False),
        (person("ann", "blue", "publisher"), "team:blue", True, True),
        (person("ann", "blue"), "team:blue:room", True, False),
        (person("ann", "blue", "publisher"), "team:red", False, False),
        (person("ann", None, "publisher"), "team:None", False, False),
        (person("blue", None, "publisher"), "team:blue", False, False),
    ],
)
def test_access_follows_scope_and_roles(identity: Identity, channel: str, read: bool, publish: bool) -> None:
    """Both rules must allow, and no role stands above a scope."""
    assert RULES.can_read(identity, channel) is read
    assert RULES.can_publish(identity, channel) is publish


def test_refusal_is_the_same_for_every_channel_and_names_the_field() -> None:
    """A refusal must not tell which channels exist."""
    with pytest.raises(RequestError) as read:
        RULES.check_read(person(), "inbox:bob", field="data.channels[1]")
    with pytest.raises(RequestError) as publish:
        RULES.check_publish(person(), "tasks")
    assert (read.value.code, read.value.field) == (ErrorCode.DENIED, "data.channels[1]")
    assert publish.value.code is ErrorCode.DENIED
    assert "bob" not in str(read.value)
    assert "tasks" not in str(publish.value)
    assert not read.value.transient


def test_allowed_access_returns() -> None:
    """The checks have no result but their silence."""
    RULES.check_read(person(), "inbox:ann")
    RULES.check_publish(person(), "open")


def test_a_channel_may_be_for_fewer_than_its_namespace_and_never_for_more() -> None:
    rules = AccessRules({"ops": Namespace(read_roles=frozenset({"operator"}))})
    rules.restrict("tasks:secret", lambda identity: "boss" in identity.roles)
    rules.restrict("ops:open", lambda identity: True)
    assert rules.can_read(person("ann", None, "boss"), "tasks:secret")
    assert not rules.can_read(person("ann", None, "operator"), "tasks:secret")
    assert rules.can_read(person(), "tasks:other")
    assert not rules.can_read(person("ann", None, "boss"), "ops:open")
    rules.restrict("tasks:secret", lambda identity: True)
    assert rules.can_read(person(), "tasks:secret"), "the newest restriction is the one"
    assert rules.is_restricted("tasks:secret")
    assert not rules.is_restricted("tasks:open")


def test_what_all_readers_of_a_channel_may_read_depends_on_the_roles_that_it_asks_for() -> None:
    rules = AccessRules({"ops": Namespace(read_roles=frozenset({"operator", "admin"}))})
    rules.restrict("tasks:secret", lambda identity: "boss" in identity.roles)
    assert not rules.readers_can_read("tasks:open", "tasks:secret")
    assert rules.readers_can_read("tasks:open", "tasks:secret", roles=["boss"])
    assert not rules.readers_can_read("tasks:open", "tasks:secret", roles=["boss", "staff"])
    assert rules.readers_can_read("ops:a", "ops:b")
    assert rules.readers_can_read("ops:a", "tasks:secret", roles=["boss"]), "beside that of its namespace"
    assert not rules.readers_can_read("tasks:open", "ops:a", roles=["operator", "boss"])


def test_namespace_that_follows_is_read_by_who_may_read_what_it_is_about() -> None:
    """Also as that changes, and however often it follows itself; of nothing, nobody reads anything."""
    namespaces = {"jobs": Namespace(scope=Scope.WORKSPACE, read_roles=frozenset({"worker"})), "about": Namespace()}
    rules = AccessRules(namespaces)
    rules.follow("about")
    worker, other = Identity(user="u", workspace="w", roles={"worker"}), Identity(user="u", workspace="w")
    for channel in ("about:jobs:w", "about:jobs:w:x", "about:about:jobs:w"):
        assert rules.can_read(worker, channel)
        assert not rules.can_read(other, channel)
    assert not rules.can_read(worker, "about:jobs:v")
    assert rules.can_read(other, "about:tasks")
    assert not any(rules.can_read(worker, channel) for channel in ("about", "about:", "about:about", "about:about:"))
    rules.restrict("tasks", lambda identity: False)
    assert not rules.can_read(worker, "about:tasks")
