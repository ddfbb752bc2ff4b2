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


class NativeBuildHook(BuildHookInterface[Any]):
    """Hatchling's hook `custom` of the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into the wheel, which is for this platform then; for an editable installation beside the sources."""
        self._folder = TemporaryDirectory()
        for place, made in compiled(Path(self.root), Path(self._folder.name)).items():
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            if version == "editable":
                put(made, Path(self.root) / place)
            else:
                build_data["force_include"][str(made)] = place

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002  the hook's
        """The compiled file is in the wheel now."""
        self._folder.cleanup()


def compiled(root: Path, folder: Path) -> dict[str, Path]:
    """Place of a compiled module in the checkout → where it was made; none, or all: they are of use together only."""
    from Cython.Build import cythonize  # noqa: PLC0415  needed only where something is built
    from setuptools import Distribution, Extension  # noqa: PLC0415
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415

    extensions = [
        Extension(".".join(source.relative_to(root).with_suffix("").parts), [str(source)], extra_compile_args=["-O3"])
        for package in ("bus", "adapters")
        for source in sorted((root / package).rglob("*.pyx"))
    ]
    made = cythonize(extensions, build_dir=str(folder), include_path=[str(root)], quiet=True)
    command = build_ext(Distribution({"ext_modules": made}))
    command.build_lib, command.build_temp = str(folder), str(folder)
    command.ensure_finalized()
    try:
        command.run()
    except Exception as error:  # noqa: BLE001  setuptools and distutils each have a class of their own for it
        sys.stderr.write(f"not compiled, so the bus runs its reference in Python: {error}\n")
        return {}
    names = [command.get_ext_filename(extension.name) for extension in extensions]
    return {name: folder / name for name in names}


def put(made: Path, place: Path) -> None:
    """Put a compiled module in its place, at once: a bus that runs keeps the file that it has."""
    new = place.with_name(f"{place.name}.new")
    shutil.copy(made, new)
    new.replace(place)


if __name__ == "__main__":  # compile in place, after a change of the sources: python hatch_build.py
    with TemporaryDirectory() as folder:
        root = Path(__file__).parent.resolve()
        for place, module in compiled(root, Path(folder)).items():
            put(module, root / place)
