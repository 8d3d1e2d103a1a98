"""Metric streams: figures that are taken, or pushed, again and again, and shown to whoever watches them."""
