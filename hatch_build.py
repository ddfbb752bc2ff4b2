"""Compiles the native data path while a wheel or an editable installation is made; without a compiler there is none.

The bus then runs its reference in Python, which does the same, slower, and says so once.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "bus.pipeline.native._core"


class NativeBuildHook(BuildHookInterface[Any]):
    """Hatchling's hook `custom` of the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into the wheel, which is for this platform then; for an editable installation beside the sources."""
        self._folder = TemporaryDirectory()
        made = compiled(Path(self.root), Path(self._folder.name))
        if made is None:
            return
        place = f"{MODULE.replace('.', '/').rpartition('/')[0]}/{made.name}"
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        if version == "editable":
            shutil.copy(made, f"{self.root}/{place}.new")
            Path(f"{self.root}/{place}.new").replace(f"{self.root}/{place}")  # a bus that runs keeps the file it has
        else:
            build_data["force_include"][str(made)] = place

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002  the hook's
        """The compiled file is in the wheel now."""
        self._folder.cleanup()


def compiled(root: Path, folder: Path) -> Path | None:
    """The compiled module, made in a folder; None where it cannot be."""
    from Cython.Build import cythonize  # noqa: PLC0415  needed only where something is built
    from setuptools import Distribution, Extension  # noqa: PLC0415
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415

    source = str(root / (MODULE.replace(".", "/") + ".pyx"))
    extension = Extension(MODULE, [source], extra_compile_args=["-O3"])
    command = build_ext(Distribution({"ext_modules": cythonize([extension], build_dir=str(folder), quiet=True)}))
    command.build_lib, command.build_temp = str(folder), str(folder)
    command.ensure_finalized()
    try:
        command.run()
    except Exception as error:  # noqa: BLE001  setuptools and distutils each have a class of their own for it
        sys.stderr.write(f"not compiled, so the bus runs its reference in Python: {error}\n")
        return None
    return Path(command.get_ext_fullpath(MODULE))
