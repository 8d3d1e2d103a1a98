"""Families of events with meaning."""
