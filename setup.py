"""
Build the compiled twins.

`src/rtcore/_fast` says by itself what there is to build: `x.pyx` is compiled as it stands; `x.pxd` without an `x.pyx`
beside it compiles `src/rtcore/_pure/x.py` a second time, with the types of the `.pxd`, as `rtcore._fast.x`.

Environment:
    RTCORE_BUILD_EXTENSIONS: `auto` (the default) builds them where a C compiler can build a trivial extension, and
        leaves them out with a warning where none can; `required` fails instead; `off` leaves them out. When they are
        built, an error in them is an error of the installation: a broken build is not a missing compiler.
    RTCORE_CYTHON_TRACE: `1` builds with line tracing, to measure coverage of `.pyx` files. Slow: never benchmark it.
    RTCORE_CYTHON_SANITIZE: `1` builds with the address and undefined behaviour sanitizers.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools._distutils.ccompiler import new_compiler
from setuptools._distutils.errors import CCompilerError, DistutilsError
from setuptools._distutils.sysconfig import customize_compiler, get_python_inc

FAST = Path("src", "rtcore", "_fast")
PURE = Path("src", "rtcore", "_pure")
TRACE = os.environ.get("RTCORE_CYTHON_TRACE") == "1"
SANITIZE = os.environ.get("RTCORE_CYTHON_SANITIZE") == "1"

PROBE = """
#include <Python.h>
PyMODINIT_FUNC PyInit_probe(void) { return NULL; }
"""


def compiler_works() -> bool:
    """Whether a trivial extension can be built: that takes a compiler, a linker, and Python's and libc's headers."""
    compiler = new_compiler()
    customize_compiler(compiler)
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "probe.c")
        source.write_text(PROBE, encoding="ascii")
        try:
            objects = compiler.compile(
                [str(source)], output_dir=directory, include_dirs=[get_python_inc(), get_python_inc(plat_specific=True)]
            )
            compiler.link_shared_object(objects, "probe.so", output_dir=directory)
        except (CCompilerError, DistutilsError, OSError) as error:
            print(f"rtcore: the C compiler does not work: {error}", file=sys.stderr)
            return False
    return True


def make_extension(source: Path) -> Extension:
    """The extension of one family."""
    arguments = [] if sys.platform == "win32" else ["-O3", "-g0"]
    links: list[str] = []
    if SANITIZE:
        links = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
        arguments = ["-O1", "-g", "-fno-omit-frame-pointer", *links]
    return Extension(
        f"rtcore._fast.{source.stem}",
        [str(source)],
        depends=[str(path) for path in sorted(FAST.glob("*.pxd"))],
        # Coverage's C tracer does not see events of sys.monitoring.
        define_macros=[("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")] if TRACE else [],
        extra_compile_args=arguments,
        extra_link_args=links,
    )


def cythonize_sources(sources: list[Path], **directives: object) -> list[Extension]:
    """Turn sources into extensions whose C is written."""
    from Cython.Build import cythonize  # here, because an installation without a compiler can do without Cython

    return cythonize(
        [make_extension(source) for source in sources],
        # Out of the package, so that no wheel has C in it; but Cython.Coverage looks for it beside the source.
        build_dir=None if TRACE else "build/cython",
        force=True,  # its own check misses an edited .pxd
        compiler_directives={
            "language_level": 3,
            "auto_pickle": False,
            "linetrace": TRACE,
            **directives,
        },
    )


def find_extensions() -> list[Extension]:
    """What to build here; nothing where it cannot be built and need not be."""
    wanted = os.environ.get("RTCORE_BUILD_EXTENSIONS", "auto")
    if wanted not in ("auto", "required", "off"):
        raise SystemExit(f"RTCORE_BUILD_EXTENSIONS must be auto, required or off, got {wanted!r}")
    if wanted == "off":
        return []
    if not compiler_works():
        if wanted == "required":
            raise SystemExit("RTCORE_BUILD_EXTENSIONS=required, but no C compiler works here")
        print("rtcore: WARNING: no working C compiler: installing without compiled modules, slower", file=sys.stderr)
        return []
    own = sorted(FAST.glob("*.pyx"))
    twice = [PURE / f"{path.stem}.py" for path in sorted(FAST.glob("*.pxd")) if path.with_suffix(".pyx") not in own]
    # In a source that Python runs as well the .pxd alone decides about types: annotations there are for readers.
    return cythonize_sources(own) + cythonize_sources(twice, annotation_typing=False)


setup(
    ext_modules=find_extensions(),
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
