"""How bytes reach a connection."""
