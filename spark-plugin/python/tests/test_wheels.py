"""The wheels, installed without anything else of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

PROGRAM = Path(__file__).with_name("wheel_program.py")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The output of wheel_program.py."""
    tmp_path = tmp_path_factory.mktemp("wheels")
    wheels = sorted((ROOT / "dist").glob("*.whl"))
    names = [wheel.name for wheel in wheels]
    assert [name.split("-")[0] for name in names] == ["firesteel", "firesteel_libtorch_cpu"]
    assert names[1].endswith("-py3-none-manylinux_2_34_x86_64.whl")
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    subprocess.run([*install, "--no-deps", "--no-index", *wheels], check=True)
    site = next((home / "lib").glob("python*/site-packages"))
    # PySpark and numpy, without installing them again.
    (site / "pyspark.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    hidden = ("LIBTORCH", "PYTHONPATH", "FIRESTEEL_PYTHON", "SPARK_HOME")
    done = subprocess.run(
        [python, shutil.copy(PROGRAM, tmp_path), tmp_path / "native"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k not in hidden},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for path in [*found["jars"], found["file"]]:
        assert path.startswith(str(site)), path
    assert list((tmp_path / "native").glob("*/libtorch_cpu.so")), "libtorch came from the jar"
    return found


def test_a_fit_needs_nothing_but_the_wheels_and_pyspark(told: dict[str, Any]) -> None:
    assert told["right"] >= 38 and told["history"] == [0, 1, 2, 3, 4]
    assert len(told["jars"]) == 2


def test_no_python_worker_is_started(told: dict[str, Any]) -> None:
    assert told["workers"] == 0
    assert told["workersOfAFunction"] >= 1


def test_versions_are_those_of_the_build() -> None:
    def version(folder: str) -> str:
        text = (ROOT / "spark-plugin" / folder / "pyproject.toml").read_text()
        return tomllib.loads(text)["project"]["version"]

    versions = (ROOT / "scripts" / "versions.sh").read_text()
    assert f"FIRESTEEL_VERSION={version('python')}\n" in versions
    assert f"LIBTORCH_VERSION={version('python-libtorch-cpu')}\n" in versions
    build = (ROOT / "build.sbt").read_text()
    assert re.search(rf'version := "{re.escape(version("python"))}"', build)


@pytest.mark.parametrize("folder", ["python", "python-libtorch-cpu"])
def test_the_project_url_is_that_of_the_build(folder: str) -> None:
    text = (ROOT / "spark-plugin" / folder / "pyproject.toml").read_text()
    home = tomllib.loads(text)["project"]["urls"]["Homepage"]
    assert f"PROJECT_URL={home}\n" in (ROOT / "scripts" / "versions.sh").read_text()


@pytest.mark.parametrize(
    ("package", "texts"),
    [
        ("firesteel", ["rust-crates.txt"]),
        (
            "firesteel_libtorch_cpu",
            ["libtorch/LICENSE", "libgomp/GPL-3.0-or-later.txt", "mkl/LICENSE.txt"],
        ),
    ],
)
def test_the_wheels_have_the_licenses_of_their_contents(package: str, texts: list[str]) -> None:
    [wheel] = (ROOT / "dist").glob(f"{package}-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in ["LICENSE", "NOTICE", *(f"licenses/{text}" for text in texts)]:
        assert any(found.endswith(f".dist-info/licenses/{name}") for found in names), name
