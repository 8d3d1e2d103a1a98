"""The twins in Python: the reference, and the fallback."""
