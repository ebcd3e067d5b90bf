"""Build the optional extension; copy shipped nets and a sample slide into the wheel. Settings are in pyproject.toml.

One source is compiled for any processor and, on x86-64, for two levels of vector instructions; `hsn/_native` loads the
best one that the processor can run. Without a compiler, hsn installs without the extension and uses SciPy.

The nets lie in `pretrained/` of the repository. A wheel holds them as `hsn/pretrained`; an editable installation uses
them where they are (see `hsn.files.PRETRAINED`). The sample slide is `hsn/sample` in a wheel (see `hsn.files.SAMPLE`).
"""

import platform
import shutil
import sys
from glob import glob
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

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


SAMPLE = Path("img") / "04_slide_region_cc0"


class BuildPackage(build_py):
    """Build the package with the shipped nets and the sample slide in it."""

    def run(self):
        super().run()
        if not self.editable_mode:
            for source, name in (("pretrained", "pretrained"), (SAMPLE, "sample")):
                place = Path(self.build_lib) / "hsn" / name
                shutil.rmtree(place, ignore_errors=True)
                shutil.copytree(source, place, ignore=shutil.ignore_patterns(".*", "training"))


class BuildOptional(build_ext):
    """Build the levels side by side. A level that does not compile is left out with one line."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or True  # as many as there are cores

    def build_extension(self, extension):
        level = extension.name.rpartition(".")[2]
        gcc, msvc = LEVELS[level]
        unix = self.compiler.compiler_type != "msvc"
        extension.extra_compile_args = GCC + gcc if unix else MSVC + msvc
        extension.extra_link_args = ["-pthread"] if unix and sys.platform != "darwin" else []
        try:
            super().build_extension(extension)
        except Exception:  # whatever a missing or old compiler raises
            print(f"hsn: {extension.name} was not built: no C++17 compiler; SciPy is used instead.")


def extensions():
    try:
        from pybind11.setup_helpers import Pybind11Extension
    except ImportError:
        print("hsn: pybind11 is missing: no extension is built; the CRF is slower without it.")
        return []
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return [
        Pybind11Extension(
            f"hsn._native.{level}",
            [f"hsn/_native/{level}.cpp"],
            depends=["hsn/_native/module.cpp", *sorted(glob("hsn/_native/*.h"))],
            optional=True,
        )
        for level in (LEVELS if x86 else ["portable"])
    ]


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildOptional, "build_py": BuildPackage})
