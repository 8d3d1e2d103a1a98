"""Typing: who is writing in a conversation just now."""
