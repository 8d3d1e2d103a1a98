"""The activity timeline: what happened, who did it, and what it has to do with."""
