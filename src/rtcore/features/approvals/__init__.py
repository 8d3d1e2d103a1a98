"""Approvals: code asks, people decide, and the code goes on with what they decided."""
