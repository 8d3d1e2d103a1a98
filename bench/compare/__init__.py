"""What `fan_out.py` is made of: the servers it compares, its load generator, its measurements, its report."""
