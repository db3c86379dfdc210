"""The largest resident memory of a fit's processes: spark-submit on local[2], MNIST, 5 epochs."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.where import BUILD, JARS, TRAIN


def tree(root: int) -> list[int]:
    """A process and those below it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def peak(process: int) -> int:
    """The largest resident memory of a process in kB, 0 once it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next((int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM:")), 0)


def main() -> int:
    plugin, programs = JARS
    settings = {
        "spark.plugins": "firesteel.plugin.FiresteelPlugin",
        "spark.firesteel.libtorch.path": str((BUILD / "libtorch").resolve()),
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    programs_of_venv = Path(sys.executable).parent
    command = [str(programs_of_venv / "spark-submit"), "--master", "local[2]"]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    command += ["--jars", str(plugin), "--class", "firesteel.e2e.FitMnist", str(programs)]
    command += [f"data={TRAIN.parent}", "epochs=5", "batch=128"]
    removed = ("LIBTORCH", "LD_LIBRARY_PATH", "SPARK_HOME")
    environment = {key: value for key, value in os.environ.items() if key not in removed}
    environment["PATH"] = f"{programs_of_venv}:{environment['PATH']}"
    peaks: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as folder, Path(folder, "output").open("w+") as output:
        running = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        while running.poll() is None:
            for process in tree(running.pid):
                peaks[process] = max(peaks.get(process, 0), peak(process))
            time.sleep(0.05)
        if running.returncode != 0:
            output.seek(0)
            print(output.read()[-6000:], file=sys.stderr)
            return running.returncode
    print(f"bench memory ours {sum(peaks.values()) * 1024 / 1e9:.2f} aim <=2")
    return 0


if __name__ == "__main__":
    sys.exit(main())
