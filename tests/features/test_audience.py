"""What is named says who sees it: each of the three has channels that are no other's, whatever anybody is called."""

from __future__ import annotations

from itertools import product
from typing import Final

import pytest

from rtcore.errors import RequestError
from rtcore.features.audience import Audiences
from rtcore.hub.access import AccessRules
from rtcore.values.identity import Identity

AUDIENCES: Final = Audiences(workspace="things", user="user_things", member="member_things")
NAMES: Final = ("a", "b", "a:b", "b:a", "a~3Ab", "~", "ä", "things")


def test_identity_may_read_what_was_named_for_it_and_nothing_else() -> None:
    rules = AccessRules(AUDIENCES.namespaces())
    named = [(w, u) for w, u in product((None, *NAMES), repeat=2) if (w, u) != (None, None)]
    channels = {names: AUDIENCES.channel(workspace=names[0], user=names[1]) for names in named}
    assert len(set(channels.values())) == len(channels)
    for user, workspace in product(NAMES, (None, *NAMES)):
        identity = Identity(user=user, workspace=workspace, roles={"admin"})
        readable = {names for names, channel in channels.items() if rules.can_read(identity, channel)}
        assert readable == {(w, u) for w, u in named if w in (None, workspace) and u in (None, user)}
        assert set(AUDIENCES.channels_of(identity)) == {channels[names] for names in readable}


def test_nobody_publishes_there_from_outside() -> None:
    rules = AccessRules(AUDIENCES.namespaces())
    assert not rules.can_publish(Identity(user="a", workspace="a", roles={"admin"}), "member_things:a:a")


@pytest.mark.parametrize(
    ("workspace", "user", "message"),
    [
        ("", None, "workspace: an empty name has no channel"),
        ("", "ann", "workspace: an empty name has no channel"),
        ("w", "", "user: an empty name has no channel"),
        ("w", "\udc00", "user: a name with a lone surrogate has no channel: UTF-8 cannot carry it"),
        ("w" * 241, "ann", "user: channel name of 259 characters exceeds the limit of 255"),
        ("w" * 300, "ann", "workspace: channel name of 314 characters exceeds the limit of 255"),
    ],
)
def test_name_that_can_have_no_channel_is_told_by_its_field(
    workspace: str | None, user: str | None, message: str
) -> None:
    with pytest.raises(RequestError) as caught:
        AUDIENCES.channel(workspace=workspace, user=user)
    assert (caught.value.message, caught.value.field) == (message, message.partition(":")[0])


def test_somebody_has_to_be_named() -> None:
    with pytest.raises(ValueError, match="expected a workspace, a user, or both"):
        AUDIENCES.channel(workspace=None, user=None)
