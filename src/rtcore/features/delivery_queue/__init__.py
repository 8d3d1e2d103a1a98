"""Delivery queues: jobs that are done at least once, by whoever takes them, and are put only once."""
