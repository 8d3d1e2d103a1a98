"""Rules on streams of measurements: conditions, alerts, and who is told of them."""
