# Nothing of it is called from C.
