"""What can be set of features: one field a feature, each with the defaults of its system."""

from __future__ import annotations

from attrs import frozen

__all__ = ["FeatureSettings"]


@frozen(kw_only=True)
class FeatureSettings:
    """Settings of all features; `[features.NAME]` in a file."""
