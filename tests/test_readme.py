"""The snippets and commands of the README, run unchanged."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from conftest import BUILD, LOCAL_CLUSTER, NATIVES_JAR, PLUGIN_JAR, ROOT, VENVS, Spark

README = (ROOT / "README.md").read_text()
# As the README has it: both jars, and nothing else that names libtorch.
OPTIONS = {"jars": [PLUGIN_JAR, NATIVES_JAR], "conf": {"spark.firesteel.libtorch.path": None}}


def snippet(name: str) -> str:
    found = re.search(rf"<!-- snippet: {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, f"the README has no snippet '{name}'"
    return found.group(1)


def test_the_snippet_for_spark_shell_runs(spark: Spark) -> None:
    script = snippet("shell").replace('"examples/data', f'"{ROOT}/examples/data')
    run = spark.shell(script, **OPTIONS)
    assert run.wait() == 0, run.output[-4000:]
    results = re.findall(r"val res\d+: Double = ([0-9.]+)", run.output)
    assert results, run.output[-4000:]
    assert float(results[-1]) > 0.95


def test_the_scala_program_compiles_and_runs(spark: Spark, tmp_path: Path) -> None:
    source = tmp_path / "Mnist.scala"
    source.write_text(snippet("program"))
    jar = tmp_path / "mnist.jar"
    jars = next((VENVS["4.3"] / "lib").glob("python*/site-packages/pyspark/jars"))
    compiler = [
        "java",
        "-cp",
        f"{jars}/*",
        "scala.tools.nsc.Main",
        "-classpath",
        f"{PLUGIN_JAR}:{jars}/*",
    ]
    subprocess.run([*compiler, "-d", str(jar), str(source)], check=True, timeout=300)
    model = tmp_path / "model"
    run = spark.submit(
        "Mnist", str(ROOT / "examples/data"), str(model), app=jar, master=LOCAL_CLUSTER, **OPTIONS
    )
    assert run.wait() == 0, run.output[-4000:]
    accuracy = re.search(r"accuracy ([0-9.]+), model in ", run.output)
    assert accuracy and float(accuracy.group(1)) > 0.95
    assert list(model.rglob("*.safetensors"))


def test_the_python_program_runs(tmp_path: Path) -> None:
    program = snippet("python").replace('"examples/data', f'"{ROOT}/examples/data')
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [BUILD / "venv-test/bin/python", "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "spark-plugin/python")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    accuracy = re.search(r"^accuracy ([0-9.]+)$", done.stdout, re.MULTILINE)
    assert accuracy and float(accuracy.group(1)) > 0.95, done.stdout
    assert re.search(r"\|\s*2\|\s*0\.\d+", done.stdout), "the history of three epochs"


def wheels(folder: Path) -> dict[str, str]:
    """The environment of commands where the package and libtorch are installed in a folder."""
    site, programs = folder / "site", folder / "bin"
    shutil.copytree(ROOT / "spark-plugin/python/firesteel", site / "firesteel")
    for jar, package in ((PLUGIN_JAR, "firesteel"), (NATIVES_JAR, "firesteel_libtorch_cpu")):
        (site / package / "jars").mkdir(parents=True)
        (site / package / "jars" / jar.name).symlink_to(jar)
    programs.mkdir()
    scripts = {"pip": ":", "firesteel-punchcard": 'exec python -m firesteel.punchcard "$@"'}
    for name, line in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    path = f"{programs}:{BUILD / 'venv-test/bin'}:{os.environ['PATH']}"
    binary = str(BUILD / "firesteel-punchcard")
    return {
        **os.environ,
        "PATH": path,
        "PYTHONPATH": str(site),
        "FIRESTEEL_PUNCHCARD_BINARY": binary,
    }


def test_the_job_server_is_started_and_trains(tmp_path: Path) -> None:
    environment = wheels(tmp_path)
    shutil.copytree(ROOT / "examples/data", tmp_path / "examples/data")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    commands = snippet("server").replace(
        'data = "$PWD', f'listen = "127.0.0.1:{port}"\ndata = "$PWD'
    )
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["bash", "-e", "-c", commands],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 60
        while "listening on" not in log.read_text():
            assert time.monotonic() < end and server.poll() is None, log.read_text()
            time.sleep(0.1)
        done = subprocess.run(
            ["python", "-c", snippet("job").replace(":7438", f":{port}")],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:] + log.read_text()
        first, second = (float(text) for text in done.stdout.strip(" []\n").split(","))
        assert 0.8 < first < second, done.stdout
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


@pytest.mark.parametrize("target", re.findall(r"^    make ([a-z-]+)", README, re.MULTILINE))
def test_make_knows_the_targets_that_are_shown(target: str) -> None:
    subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True, timeout=120
    )


def test_the_demo_prints_an_accuracy_of_at_least_97_and_a_half() -> None:
    done = subprocess.run(
        ["scripts/demo.sh"], cwd=ROOT, check=False, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-4000:]
    accuracy = re.search(r"^test accuracy (\d\d\.\d\d) %$", done.stdout, re.MULTILINE)
    assert accuracy, done.stdout
    assert float(accuracy.group(1)) >= 97.5
    assert re.search(r"rows/s", done.stdout) and "model saved to " in done.stdout
    assert re.search(r"epoch \d+/\d+ .*loss .*rows/s .*workers .*left", done.stderr)


def test_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
