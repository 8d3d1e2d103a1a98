"""The face of the package: what an application may rely on."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import rtcore


def test_root_exports_exactly_its_public_names() -> None:
    """What is reachable and not exported is an accident that somebody will come to rely on."""
    for name in rtcore.__all__:
        getattr(rtcore, name)  # names are imported when they are first used
    public = {
        name
        for name, value in vars(rtcore).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name not in {"annotations", "Final", "TYPE_CHECKING", "import_module"}
    }
    assert public == {name for name in rtcore.__all__ if name != "__version__"}
    assert rtcore.__all__ == sorted(rtcore.__all__, key=lambda name: (not name.isupper(), not name[:1].isupper(), name))


def test_everything_that_the_root_exports_is_documented() -> None:
    for name in rtcore.__all__:
        value = getattr(rtcore, name)
        if callable(value):
            assert value.__doc__, name


def test_star_import_gives_every_public_name() -> None:
    names: dict[str, object] = {}
    exec("from rtcore import *", names)
    assert set(rtcore.__all__) <= names.keys()


def test_package_imports_without_a_warning() -> None:
    """In an interpreter of its own: here the package has been imported long ago."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import rtcore"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
