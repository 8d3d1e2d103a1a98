"""Outputs: text or items that a producer writes while readers come and go."""
