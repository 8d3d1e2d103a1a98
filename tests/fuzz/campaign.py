"""
One target under atheris, in a process of its own: `python -m tests.fuzz.campaign TARGET [option of libFuzzer ...]`.

The Python sources are instrumented, so that coverage guides the search; compiled twins come along and must agree.
"""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    """Does not return: libFuzzer ends the process."""
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["rtcore"]):
        from tests.fuzz.stacks import load_stacks
        from tests.fuzz.targets import TARGETS

        stacks = load_stacks()
    target = TARGETS[name]
    print(f"{name}: {' and '.join(stack.name for stack in stacks)}", file=sys.stderr)
    atheris.Setup(sys.argv, lambda data: target(data, stacks))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
