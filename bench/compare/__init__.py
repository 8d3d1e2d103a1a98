"""What `run.py` is made of: the servers, what is measured, the rounds, the report."""
