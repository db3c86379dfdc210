"""Every example in a small form, and the gallery that shows them."""

from __future__ import annotations

import ast
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import firesteel
import nbformat
import onnxruntime
import pytest
import torch
from conftest import BUILD, ROOT, TIMEOUT_SECONDS, Spark
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

EXAMPLES = ROOT / "examples"
SCALA = EXAMPLES / "src/main/scala/firesteel/examples"
EXAMPLES_JAR = BUILD / "firesteel-examples.jar"
GALLERY = (EXAMPLES / "README.md").read_text()
NOTEBOOK = EXAMPLES / "workflow.ipynb"
RUNNER = ROOT / "scripts/notebook.py"
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "2g",
    "spark.sql.shuffle.partitions": "2",
    "spark.firesteel.progress": "false",
    "spark.firesteel.libtorch.path": str((BUILD / "libtorch").resolve()),
}

Example = Callable[[str, str], str]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One Spark for all Python programs, which use the running session."""
    builder = firesteel.session().master("local[2]").appName("examples")
    folder = tmp_path_factory.mktemp("spark")
    for key, value in {**SETTINGS, "spark.sql.warehouse.dir": str(folder)}.items():
        builder = builder.config(key, value)
    started = builder.getOrCreate()
    started.sparkContext.setLogLevel("ERROR")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # Spark has the cores
    yield started
    torch.set_num_threads(threads)
    started.stop()


@pytest.fixture
def example(
    session: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Example]:
    """Runs a program with its results in `tmp_path`; returns its output."""

    def run(name: str, arguments: str) -> str:
        path = EXAMPLES / f"{name}.py"
        monkeypatch.setattr(sys, "argv", [str(path), *arguments.split(), "--out", str(tmp_path)])
        runpy.run_path(str(path), run_name="__main__")
        return capsys.readouterr().out

    yield run
    session.catalog.clearCache()


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


def accuracy(output: str) -> float:
    found = re.search(r"^test accuracy (\d+\.\d+) %$", output, re.MULTILINE)
    assert found, output
    return float(found.group(1))


def table(output: str) -> list[list[str]]:
    """The cells of the table in Markdown, without its heading."""
    lines = [line for line in output.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_perceptron_learns_digits(example: Example, tmp_path: Path) -> None:
    assert accuracy(example("mnist_mlp", "--share 0.1 --epochs 2")) > 85
    assert is_picture(tmp_path / "mnist_mlp.png")
    assert list((tmp_path / "mnist-mlp").rglob("*.safetensors"))


def test_the_convolutional_network_learns_digits(example: Example, tmp_path: Path) -> None:
    assert accuracy(example("mnist_convnet", "--share 0.1 --epochs 2")) > 90
    assert is_picture(tmp_path / "mnist_convnet.png")
    assert list((tmp_path / "mnist-convnet").rglob("*.safetensors"))


def test_the_convolutional_network_in_scala_learns_digits_as_users_run_it(tmp_path: Path) -> None:
    model = tmp_path / "model"
    run = subprocess.run(
        [ROOT / "scripts/example.sh", "MnistConvnet", "examples/data", model, "0.1", "2"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr[-4000:]
    assert accuracy(run.stdout) > 90
    assert list(model.rglob("*.safetensors"))


def test_the_table_of_strategies_has_a_line_for_each_run(spark: Spark, tmp_path: Path) -> None:
    lines = tmp_path / "learning.csv"
    arguments = [f"data={EXAMPLES / 'data'}", f"out={lines}", "strategies=adag", "workers=2"]
    small = ["windows=5", "epochs=2", "rows=6000"]
    run = spark.submit("firesteel.examples.StrategyTable", *arguments, *small, app=EXAMPLES_JAR)
    assert run.wait() == 0, run.output[-4000:]
    heading, line = (text.split(",") for text in lines.read_text().splitlines())
    found = dict(zip(heading, line, strict=True))
    assert (found["strategy"], found["workers"]) == ("adag", "2")
    assert float(found["accuracy"]) > 0.3


def test_the_page_of_what_fits_learn_is_that_of_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("learning.csv", "defaults.csv", "target.csv"):
        shutil.copy(ROOT / "docs" / name, tmp_path)
    monkeypatch.setattr(sys, "argv", ["page.py", str(tmp_path)])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(ROOT / "tests/learning/page.py"), run_name="__main__")
    assert (tmp_path / "learning.md").read_text() == (ROOT / "docs/learning.md").read_text()
    assert (tmp_path / "learning.svg").read_text().startswith("<?xml")


def test_all_models_of_late_flights_are_better_than_chance(
    example: Example, tmp_path: Path
) -> None:
    small = "--share 0.05 --epochs 3 --iterations 15 --trees 3 --strategies sync"
    rows = table(example("flights", small))
    assert [row[0] for row in rows] == [
        "LogisticRegression",
        "MultilayerPerceptronClassifier",
        "GBTClassifier",
        "NetworkClassifier, adag",
        "NetworkEstimator, sync",
    ]
    for name, _, september, later in rows:
        assert 0.55 < float(september) < 0.85, name
        assert 0.55 < float(later) < 0.85, name
    assert is_picture(tmp_path / "flights.png")
    assert len(PipelineModel.load(str(tmp_path / "flights-model")).stages) == 2


def test_each_flight_that_arrives_is_scored_once(
    example: Example, session: SparkSession, tmp_path: Path
) -> None:
    output = example("streaming", "--share 0.1 --days 4 --seconds 0")
    folder = tmp_path / "streaming"
    arrived = session.read.json(str(folder / "arriving"))
    scored = session.read.parquet(str(folder / "scored"))
    key = ["day", "carrier", "flight", "origin", "dest"]
    assert arrived.count() > 3000
    assert scored.select(key).exceptAll(arrived.select(key)).isEmpty()
    assert arrived.select(key).exceptAll(scored.select(key)).isEmpty()
    assert scored.where("late > 0 AND late < 1").count() == scored.count()
    assert scored.agg({"late": "stddev"}).first()[0] > 0.02
    assert re.findall(r"^(\d+) files, ", output, re.MULTILINE) == ["2", "2"]


def test_a_pretrained_body_learns_new_digits_and_goes_back_to_pytorch(
    example: Example, tmp_path: Path
) -> None:
    output = example("finetune_torch", "--share 0.6 --sizes 20")
    (cells,) = table(output)
    tuned, scratch = (float(cell.removesuffix(" %")) for cell in cells[1:])
    assert tuned > 70
    assert scratch < tuned - 3
    found = re.search(r"differ by (\S+) at most", output)
    assert found and float(found.group(1)) < 1e-4
    assert "the same to the last bit" in output
    assert is_picture(tmp_path / "finetune_torch.png")
    image = torch.rand(3, 784)
    expected = torch.jit.load(tmp_path / "digits.pt")(image).detach()
    onnx = onnxruntime.InferenceSession(tmp_path / "digits.onnx")
    (given,) = onnx.run(None, {onnx.get_inputs()[0].name: image.numpy()})
    torch.testing.assert_close(torch.from_numpy(given), expected, rtol=1e-4, atol=1e-4)


def outputs(notebook: nbformat.NotebookNode) -> list[dict[str, Any]]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


code_hash = runpy.run_path(str(RUNNER))["code_hash"]


def shows_the_workflow(notebook: nbformat.NotebookNode) -> None:
    """Checks that the notebook was run from start to end and shows text, a bar chart and curves."""
    assert notebook.metadata.firesteel.code == code_hash(notebook)
    assert not [output for output in outputs(notebook) if output["output_type"] == "error"]
    numbers = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert numbers == list(range(1, len(numbers) + 1))
    pictures = [output for output in outputs(notebook) if "image/png" in output.get("data", {})]
    assert len(pictures) == 3
    text = "".join(output.get("text", "") for output in outputs(notebook))
    areas = [float(area) for area in re.findall(r"AUC (0\.\d+)", text)]
    assert len(areas) == 2 and min(areas) > 0.55, text
    assert len(re.findall(r"^learning rate .* in September", text, re.MULTILINE)) == 3, text


def test_the_notebook_runs_from_start_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "spark-plugin/python"))
    monkeypatch.setenv("LIBTORCH", str((BUILD / "libtorch").resolve()))
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    monkeypatch.setenv("SHARE", "0.05")
    result = tmp_path / "workflow.ipynb"
    monkeypatch.setattr(sys, "argv", [str(RUNNER), str(NOTEBOOK), str(result)])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(RUNNER), run_name="__main__")
    shows_the_workflow(nbformat.read(result, as_version=4))


def test_the_notebook_is_kept_with_what_it_shows() -> None:
    shows_the_workflow(nbformat.read(NOTEBOOK, as_version=4))
    assert NOTEBOOK.stat().st_size < 200_000


def test_the_gallery_shows_every_example() -> None:
    kinds = [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.ipynb"), *SCALA.glob("*.scala")]
    names = {path.stem: path for path in kinds}
    for name, path in names.items():
        assert f"({path.relative_to(EXAMPLES)})" in GALLERY, name
    for name in re.findall(r"make example NAME=(\w+)", GALLERY):
        assert name in names, name


def test_links_of_the_gallery_lead_somewhere_and_no_picture_is_left_out() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", GALLERY)
    for target in targets:
        assert (EXAMPLES / target).exists(), target
    for picture in (EXAMPLES / "pictures").iterdir():
        assert f"pictures/{picture.name}" in targets, picture.name


def test_python_of_the_gallery_parses() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", GALLERY, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        ast.parse(block)
