"""What is known of a connection before it said anything."""

from __future__ import annotations

import socket

from rtcore.server.incoming import own_address


def test_own_address_is_the_one_that_was_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        name = listener.getsockname()
        with socket.create_connection(name), listener.accept()[0] as accepted:
            assert own_address(accepted) == name


def test_socket_without_an_address_is_served_as_others_are() -> None:
    """A UNIX socket has a name of another form, or none: HTTP over it asks for the address all the same."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert own_address(ours) == ("", 0)
