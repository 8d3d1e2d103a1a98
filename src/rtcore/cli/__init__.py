"""
The command line: one file per command, loaded when that command is asked for.

Exit codes: 0 done; 1 it could not be done; 2 wrong arguments or settings; 128 and the number of a signal that ended it;
141 when whoever read the output went away. `exec` ends with its command's own exit code.
"""

from __future__ import annotations

from rtcore.cli.program import main

__all__ = ["main"]
