"""Presence: who is there, on which page, and doing what."""
