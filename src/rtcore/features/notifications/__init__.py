"""Notifications: what a user or a workspace is told, and keeps until it was read."""
