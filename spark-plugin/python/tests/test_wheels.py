"""The wheels, installed without anything else of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import firesteel
import pyspark
import pytest
from conftest import ROOT
from firesteel.layers import Linear, Softmax
from firesteel.punchcard import Client, Data, Estimator

PROGRAM = Path(__file__).with_name("wheel_program.py")
TAG = "manylinux_2_34_x86_64"
SERVER = "firesteel/punchcard/bin/firesteel-punchcard"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheels."""
    wheels = sorted((ROOT / "dist").glob("*.whl"))
    names = [wheel.name for wheel in wheels]
    assert [name.split("-")[0] for name in names] == ["firesteel", "firesteel_libtorch_cpu"]
    assert all(name.endswith(f"-py3-none-{TAG}.whl") for name in names), names
    home = tmp_path_factory.mktemp("wheels") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    pip(home, "--quiet", *wheels)
    # PySpark, numpy and httpx, without installing them again.
    (site(home) / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return home


def pip(home: Path, *arguments: str | Path) -> None:
    line = [sys.executable, "-m", "pip", "--python", home / "bin" / "python", "install"]
    options = ["--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run([*line, *options, *arguments], check=True)


def site(home: Path) -> Path:
    return next((home / "lib").glob("python*/site-packages"))


def clean_environment() -> dict[str, str]:
    hidden = (
        "LIBTORCH",
        "PYTHONPATH",
        "FIRESTEEL_PYTHON",
        "FIRESTEEL_PUNCHCARD_BINARY",
        "SPARK_HOME",
    )
    return {key: value for key, value in os.environ.items() if key not in hidden}


@pytest.fixture(scope="module")
def told(home: Path) -> dict[str, Any]:
    """The output of wheel_program.py."""
    tmp_path = home.parent
    done = subprocess.run(
        [home / "bin" / "python", shutil.copy(PROGRAM, tmp_path), tmp_path / "native"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for path in [*found["jars"], found["file"]]:
        assert path.startswith(str(site(home))), path
    assert list((tmp_path / "native").glob("*/libtorch_cpu.so")), "libtorch came from the jar"
    return found


def test_a_fit_needs_nothing_but_the_wheels_and_pyspark(told: dict[str, Any]) -> None:
    assert told["right"] >= 38 and told["history"] == [0, 1, 2, 3, 4]
    assert len(told["jars"]) == 2


def start_configuration(home: Path, tmp_path: Path) -> str:
    """The configuration of docs/punchcard.md with the paths of this test."""
    document = (ROOT / "docs/punchcard.md").read_text()
    [text] = re.findall(r"```toml\n(.*?)```", document, re.DOTALL)
    for path, own in (
        ("/var/lib/punchcard", tmp_path / "data"),
        ("/opt/firesteel/lib/python3.11/site-packages", site(home)),
        ("/opt/firesteel/bin/spark-submit", Path(pyspark.__file__).parent / "bin/spark-submit"),
        ("/opt/firesteel/bin/python", home / "bin/python"),
        ("/srv/data", tmp_path),
        ("local[4]", "local[2]"),
    ):
        assert text.count(path) == 1, path
        text = text.replace(path, str(own))
    # The network of the tests, and a folder in which to look for what comes from the jar.
    conf = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.firesteel.native.directory": str(tmp_path / "native"),
    }
    lines = (f'"{key}" = "{value}"\n' for key, value in conf.items())
    return f"listen = '127.0.0.1:0'\n{text}\n[clusters.local.conf]\n{''.join(lines)}"


def train(address: str, token: str, folder: Path) -> None:
    """Runs a job that trains."""
    lines = [f"{number - 20},{20 - number},{int(number > 20)}" for number in range(40)]
    (folder / "rows.csv").write_text("\n".join(["a,b,label", *lines]))
    network = firesteel.Network.sequential(Linear(2), Softmax())
    params = {"featuresCols": ["a", "b"], "epochs": 2, "batchSize": 4}
    options = {"header": True, "inferSchema": True}
    data = Data(f"file:{folder}/rows.csv", format="csv", options=options)
    with Client(address, token) as client:
        job = client.submit("start", Estimator("NetworkClassifier", network, params), data=data)
        end = time.monotonic() + 300
        while not (done := client.job(job.id)).is_final:
            assert time.monotonic() < end, done
            time.sleep(0.2)
        assert done.state == "SUCCEEDED", (done.reason, client.log_text(job.id)[-6000:])
    assert list((folder / "native").glob("*/libtorch_cpu.so")), "libtorch came from the jar"


def test_the_job_server_of_the_wheel_trains_with_the_configuration_of_the_guide(
    home: Path, tmp_path: Path
) -> None:
    (tmp_path / "punchcard.toml").write_text(start_configuration(home, tmp_path))

    def command(*arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [home / "bin" / "firesteel-punchcard", *arguments],
            cwd=tmp_path,
            env={**clean_environment(), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert "cluster local (default): local[2]" in command("check")
    token = command("token", "new", "--identity", "userX")
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [home / "bin" / "firesteel-punchcard", "serve", "--config", "punchcard.toml"],
            cwd=tmp_path,
            env=clean_environment(),
            stderr=output,
        )
    try:
        end = time.monotonic() + 30
        while not (found := re.search(r"listening on (http://127.0.0.1:\d+)", log.read_text())):
            assert time.monotonic() < end and process.poll() is None, log.read_text()
            time.sleep(0.02)
        # The script has become the server: signals reach it.
        program = Path(f"/proc/{process.pid}/exe").resolve()
        assert program == site(home) / SERVER
        with urllib.request.urlopen(f"{found[1]}/healthz") as answer:
            assert answer.read() == b"ok\n"
        variables = {"ADDRESS": found[1], "TOKEN": token}
        client = {f"FIRESTEEL_PUNCHCARD_{key}": value for key, value in variables.items()}
        assert command("whoami", **client).startswith("userX (user)")
        train(found[1], token, tmp_path)
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


def test_the_job_server_is_small_and_needs_no_newer_libc_than_the_tag_says() -> None:
    [wheel] = (ROOT / "dist").glob("firesteel-*.whl")
    entry = zipfile.ZipFile(wheel).getinfo(SERVER)
    assert entry.external_attr >> 16 & 0o111 == 0o111
    assert entry.file_size < 20e6
    program = ROOT / "build" / "firesteel-punchcard"
    assert zipfile.ZipFile(wheel).read(SERVER) == program.read_bytes()
    line = ["readelf", "--wide", "--version-info", "--dynamic", program]
    text = subprocess.run(line, check=True, capture_output=True, text=True).stdout
    versions = {tuple(map(int, found)) for found in re.findall(r"GLIBC_(\d+)\.(\d+)", text)}
    limit = tuple(int(number) for number in TAG.split("_")[1:3])
    assert versions and max(versions) <= limit, versions
    libraries = set(re.findall(r"Shared library: \[(.*?)\]", text))
    assert libraries <= {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"}


def test_other_systems_have_a_wheel_without_the_server_and_pip_prefers_the_one_with_it(
    home: Path, tmp_path: Path
) -> None:
    [own], [other] = ((ROOT / folder).glob("firesteel-*.whl") for folder in ("dist", "dist/any"))
    assert other.name.endswith("-py3-none-any.whl")
    names, others = (set(zipfile.ZipFile(wheel).namelist()) for wheel in (own, other))
    assert names - others == {SERVER} and not others - names
    report = tmp_path / "report.json"
    links = ["--find-links", own.parent, "--find-links", other.parent]
    pip(home, "--quiet", "--dry-run", "--ignore-installed", "--report", report, *links, "firesteel")
    [chosen] = json.loads(report.read_text())["install"]
    assert chosen["download_info"]["url"].endswith(own.name)


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
