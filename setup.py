"""The optional extension, and nothing else: every setting stands in pyproject.toml.

One source is compiled for any processor and, on x86-64, for two levels of vector instructions; `hsn/_native` takes
what the processor at hand can run. Where nothing can be compiled, hsn installs without and uses SciPy.
"""

import platform
import sys
from glob import glob

from setuptools import setup
from setuptools.command.build_ext import build_ext

GCC = [
    "-std=c++17",
    "-O3",
    "-g0",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
]
MSVC = ["/std:c++17", "/O2", "/EHsc", "/fp:precise"]
LEVELS = {  # module: flags of GCC and Clang, flags of MSVC
    "portable": ([], []),
    "avx2": (["-mavx2", "-mfma"], ["/arch:AVX2"]),
    "avx512": (
        [
            "-mavx2",
            "-mfma",
            "-mavx512f",
            "-mavx512vl",
            "-mavx512bw",
            "-mavx512dq",
            "-mprefer-vector-width=512",
        ],
        ["/arch:AVX512"],
    ),
}


class BuildWhatCan(build_ext):
    """Build each level; what does not compile is told in one line and left out, and without `portable` all of it."""

    has_compiler = True

    def build_extension(self, extension):
        if not self.has_compiler:
            return
        level = extension.name.rpartition(".")[2]
        gcc, msvc = LEVELS[level]
        unix = self.compiler.compiler_type != "msvc"
        extension.extra_compile_args = GCC + gcc if unix else MSVC + msvc
        extension.extra_link_args = ["-pthread"] if unix and sys.platform != "darwin" else []
        try:
            super().build_extension(extension)
        except Exception:  # whatever a missing or old compiler raises
            self.has_compiler = level != "portable"
            print(f"hsn: {extension.name} was not built, for want of a C++17 compiler; SciPy does its work.")


def extensions():
    try:
        from pybind11.setup_helpers import Pybind11Extension
    except ImportError:
        print("hsn: pybind11 is missing, so no extension is built; the CRF works without it, more slowly.")
        return []
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return [
        Pybind11Extension(
            f"hsn._native.{level}",
            ["hsn/_native/module.cpp"],
            depends=sorted(glob("hsn/_native/*.h")),
            define_macros=[("HSN_MODULE", level)],
            optional=True,
        )
        for level in (LEVELS if x86 else ["portable"])
    ]


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildWhatCan})
