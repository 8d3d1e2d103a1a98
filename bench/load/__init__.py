"""The load generator and the floor: C, built by the system's compiler when they are first needed."""
