"""The HTTP side of features: one module each."""
