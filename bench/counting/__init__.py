"""What `instructions.py` is made of: the scenarios, callgrind, the budget."""
