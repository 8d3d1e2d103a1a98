"""Values: what everything else is made of; no I/O."""
