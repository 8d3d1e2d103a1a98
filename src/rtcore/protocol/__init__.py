"""The wire: bytes in, events out; no I/O."""
