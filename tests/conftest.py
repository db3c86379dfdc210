"""Real Spark for the end-to-end tests: spark-submit and spark-shell, installed by pip."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
PLUGIN_JAR = BUILD / "firesteel.jar"
NATIVES_JAR = BUILD / "firesteel-libtorch-cpu-linux-x86_64.jar"
APPS_JAR = BUILD / "firesteel-e2e.jar"
# The first and the last release of each supported version of Spark, with numpy for pyspark.ml.
_REQUIREMENTS = ROOT / "scripts" / "requirements"
_VENVS = {
    **{f.stem.removeprefix("spark-"): f"venv-{f.stem}" for f in _REQUIREMENTS.glob("spark-*.txt")},
    **{
        line.removeprefix("pyspark=="): "venv-test"
        for line in (_REQUIREMENTS / "test.txt").read_text().splitlines()
        if line.startswith("pyspark==")
    },
}
RELEASES = {
    release: BUILD / _VENVS[release]
    for release in sorted(_VENVS, key=lambda release: [int(part) for part in release.split(".")])
}
VENVS = {**RELEASES, "4.3": BUILD / "venv"}
LOCAL_CLUSTER = "local-cluster[2,1,1024]"
TIMEOUT_SECONDS = 300
# A network of `FitMnist` whose epochs are long enough for a test to kill something in one.
LONG_EPOCHS = "hidden=500,300"


@dataclass
class Run:
    """A running or finished application of Spark."""

    process: subprocess.Popen[str]
    folder: Path
    home: Path
    lines: list[str] = field(default_factory=list)
    _reader: threading.Thread | None = None

    def start_reading(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait(self, seconds: float = TIMEOUT_SECONDS) -> int:
        """Waits for the exit code; the output is complete when this returns."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"still running after {seconds} s:\n{self.output[-6000:]}"
            ) from None
        assert self._reader is not None
        self._reader.join(30)
        return code

    def until(self, text: str, seconds: float = 120) -> None:
        """Waits for a line that contains `text`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(text in line for line in list(self.lines)):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"'{text}' did not appear:\n{self.output[-6000:]}")

    def result(self) -> dict[str, Any]:
        """The JSON that the application printed after `RESULT `."""
        found = [line for line in self.lines if line.startswith("RESULT ")]
        assert found, f"no result:\n{self.output[-6000:]}"
        return json.loads(found[-1].removeprefix("RESULT "))

    def succeed(self) -> dict[str, Any]:
        code = self.wait()
        assert code == 0, f"exit code {code}:\n{self.output[-6000:]}"
        return self.result()

    def descendants(self, pattern: str = "") -> list[int]:
        """Processes below this one whose command line contains `pattern`."""
        return descendants(self.process.pid, pattern)

    def executor_logs(self) -> list[str]:
        """The logs of the executors of a `local-cluster`."""
        logs = self.home.glob("work/app-*/*/stderr")
        return [path.read_text(errors="replace") for path in logs]

    def crash_reports(self) -> list[str]:
        """The crash reports of a JVM."""
        return [str(path) for path in self.folder.rglob("hs_err_pid*")]

    def kill(self) -> None:
        for pid in [*_descendants(self.process.pid), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def descendants(root: int, pattern: str = "") -> list[int]:
    """Processes below a process whose command line contains `pattern`."""
    return [pid for pid in _descendants(root) if pattern in _command_line(pid)]


def _descendants(root: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found, frontier = [], [root]
    while frontier:
        parent = frontier.pop()
        children = [pid for pid, above in parents.items() if above == parent]
        found += children
        frontier += children
    return found


@dataclass
class Spark:
    """Starts applications of one Spark version in a folder of the test."""

    folder: Path
    started: list[Run] = field(default_factory=list)

    def start(
        self,
        command: str,
        arguments: list[str],
        *,
        version: str = "4.3",
        master: str = "local[2]",
        conf: dict[str, str | None] | None = None,
        jars: list[Path] | None = None,
        plugin: bool = True,
        environment: dict[str, str] | None = None,
        typed: bool = False,
    ) -> Run:
        """Starts `spark-submit` or `spark-shell`; a setting of `None` is left out."""
        settings = {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.warehouse.dir": str(self.folder / "warehouse"),
            "spark.driver.memory": "2g",
            "spark.sql.shuffle.partitions": "2",
            "spark.firesteel.libtorch.path": str((BUILD / "libtorch").resolve()),
            **({"spark.plugins": "firesteel.plugin.FiresteelPlugin"} if plugin else {}),
            **(conf or {}),
        }
        venv = VENVS[version]
        home = self._spark_home(venv)
        line = [str(venv / "bin" / command), "--master", master]
        for key, value in settings.items():
            if value is not None:
                line += ["--conf", f"{key}={value}"]
        line += ["--jars", ",".join(str(jar) for jar in ([PLUGIN_JAR] if jars is None else jars))]
        clean = {
            k: v for k, v in os.environ.items() if k not in ("LIBTORCH", "SPARK_HOME", "PYTHONPATH")
        }
        clean["PATH"] = f"{venv / 'bin'}:{clean['PATH']}"
        clean["SPARK_HOME"] = str(home)
        clean["SPARK_LOCAL_DIRS"] = str(self.folder / "spark-local")
        clean["SPARK_WORKER_DIR"] = str(self.folder / "spark-work")
        self.folder.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            [*line, *arguments],
            cwd=self.folder,
            env={**clean, **(environment or {})},
            stdin=subprocess.PIPE if typed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        run = Run(process, self.folder, home)
        run.start_reading()
        self.started.append(run)
        return run

    def _spark_home(self, venv: Path) -> Path:
        """Makes an own Spark home for an application, by links to the installed one.

        The executors of a `local-cluster` work in a folder of Spark's home that is named after the
        second of the start, so two applications must not share a home.
        """
        home = self.folder / f"spark-home-{len(self.started)}"
        home.mkdir(parents=True)
        (installed,) = (venv / "lib").glob("python*/site-packages/pyspark")
        for entry in installed.iterdir():
            if entry.name != "work":
                (home / entry.name).symlink_to(entry)
        return home

    def submit(self, main_class: str, *arguments: str, app: Path = APPS_JAR, **options: Any) -> Run:
        """Starts the main class of a jar of test applications."""
        return self.start("spark-submit", ["--class", main_class, str(app), *arguments], **options)

    def shell(self, script: str, **options: Any) -> Run:
        """Types `script` into spark-shell once it takes input.

        Scala's shell parses what comes earlier while another thread compiles the shell's imports.
        Its compiler fails if both happen at once.
        """
        ready = self.folder / "ready.scala"
        ready.write_text('println("ready for " + "input")\n')
        run = self.start("spark-shell", ["-i", str(ready)], typed=True, **options)
        run.until("ready for input")
        assert run.process.stdin is not None
        # A shell that has ended is judged by its exit code and output.
        with contextlib.suppress(BrokenPipeError):
            run.process.stdin.write(script + "\n:quit\n")
            run.process.stdin.close()
        return run


@pytest.fixture
def spark(tmp_path: Path) -> Iterator[Spark]:
    started = Spark(tmp_path)
    yield started
    for run in started.started:
        if run.process.poll() is None:
            run.kill()


Undisturbed = Callable[..., float]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Undisturbed:
    """The accuracy of an undisturbed `FitMnist` in one process; trained once for all tests."""
    results = tmp_path_factory.getbasetemp().parent / f"undisturbed-{testrun_uid}"
    results.mkdir(exist_ok=True)

    def accuracy(*arguments: str) -> float:
        with (results / "-".join(arguments)).open("a+") as result:
            fcntl.flock(result, fcntl.LOCK_EX)
            result.seek(0)
            if known := result.read():
                return float(known)
            spark = Spark(tmp_path_factory.mktemp("undisturbed"))
            data = f"data={ROOT / 'examples' / 'data'}"
            run = spark.submit("firesteel.e2e.FitMnist", data, *arguments)
            found = run.succeed()["accuracy"]
            assert found > 0.96, f"{arguments}: {found}"
            result.write(str(found))
            return found

    return accuracy


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    for path in (PLUGIN_JAR, NATIVES_JAR, APPS_JAR):
        assert path.exists(), f"{path} is missing: run the tests through `make test`"


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool], str], None]:
    def check(condition: Callable[[], bool], message: str, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, message
            time.sleep(0.1)

    return check
