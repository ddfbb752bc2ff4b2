"""The wheel, installed alone, is the whole bus: it validates its workspace and runs the demo, far from any checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: object, cwd: Path, timeout: float = 300.0) -> str:
    """A command's output; nothing of our environment that could lead it back here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BUS_", "KAFKA_", "PYTHON"))}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=kept, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(python: Path, *what: object, cwd: Path) -> None:
    """With uv where it is at hand, for its cache; else with pip."""
    if uv := shutil.which("uv"):
        run(uv, "pip", "install", "--quiet", "--python", python, *what, cwd=cwd)
    else:
        run(python, "-m", "pip", "install", "--quiet", *what, cwd=cwd)


@pytest.mark.timeout(600)
def test_the_wheel_alone_validates_and_runs_the_demo(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    (wheel,) = tmp_path.glob("shuniu-*.whl")
    venv.create(tmp_path / "venv", with_pip=shutil.which("uv") is None)
    python, empty = tmp_path / "venv" / "bin" / "python", tmp_path / "empty"
    empty.mkdir()
    install(python, "--require-hashes", "-r", ROOT / "requirements" / "demo.txt", cwd=empty)
    install(python, "--no-deps", wheel, cwd=empty)

    bus = python.with_name("bus")
    assert Path(run(python, "-c", "import bus; print(bus.__file__)", cwd=empty)).is_relative_to(tmp_path)
    run(python, "-c", "from bus.pipeline import native; assert native.is_built()", cwd=empty)
    assert "validate" in run(bus, "--help", cwd=empty)
    told = json.loads(run(bus, "validate", "--json", cwd=empty))
    assert (told["findings"], Path(told["folder"]).is_relative_to(tmp_path)) == ([], True)
    run(bus, "init", "mycity", cwd=empty)
    run(bus, "mapping", "test", "mycity", cwd=empty)
    assert "proven: the same" in run(bus, "demo", "--for", "5s", "--rows", "500", "--rate", "100", cwd=empty)
    assert [file.name for file in empty.iterdir()] == ["mycity"]
