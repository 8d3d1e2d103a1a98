"""What `rtcore tail` shows."""
