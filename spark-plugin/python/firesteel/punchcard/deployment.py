"""A server on this machine, and secrets, with the names of dist-keras."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import string
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from firesteel.punchcard.native import server_binary
from firesteel.spark import spark_jars

_ALPHABET = string.ascii_uppercase + string.digits
_LENGTH = 64


def generate_secret(identity: str) -> str:
    """Prints an entry for the secrets file and returns its secret.

    ``python -m firesteel.distkeras.job_deployment --identity userX`` does the same.
    """
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    print(json.dumps({"secret": secret, "identity": identity}))
    return secret


class Punchcard:
    """A job server on this machine, for the users of a secrets file.

    It listens on the loopback interface only: to serve other machines, run ``firesteel-punchcard
    serve`` with a certificate.

    Parameters
    ----------
    secrets_path : str
        The secrets file: a JSON list of ``{"secret": ..., "identity": ...}``. A secret has at
        least 16 characters.
    port : int
        The port.
    master : str
        The Spark master of jobs.
    data : sequence of str
        The folders from which jobs may read, such as ``hdfs:///data/``. Default: all files that
        the account of this process may read, on HDFS and on this machine, as in dist-keras. Every
        user of the secrets file can then train on any of them: name folders to limit that.
    folder : str, optional
        The folder for jobs, uploads and the database. Default: ``firesteel/punchcard`` in
        ``~/.local/share``.
    """

    def __init__(
        self,
        secrets_path: str = "secrets.json",
        port: int = 80,
        *,
        master: str = "local[*]",
        data: tuple[str, ...] | list[str] = ("hdfs:///", "file:///", "/"),
        folder: str | None = None,
    ) -> None:
        self.secrets_path = secrets_path
        self.port = port
        self.master = master
        self.data = list(data)
        share = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
        self.folder = Path(folder or f"{share}/firesteel/punchcard").absolute()

    def read_secrets(self) -> list[dict[str, str]]:
        """Returns the entries of the secrets file.

        Raises
        ------
        FileNotFoundError
            If the file is missing.
        ValueError
            If the file is not a list of secrets with their identities.
        """
        try:
            entries = json.loads(Path(self.secrets_path).read_text())
        except FileNotFoundError:
            raise FileNotFoundError(
                f"secrets_path: there is no file '{self.secrets_path}'; write a JSON list of the "
                "entries that generate_secret(identity) prints"
            ) from None
        except ValueError as error:
            raise ValueError(f"{self.secrets_path} is not JSON: {error}") from None
        if not isinstance(entries, list) or not all(
            isinstance(entry, dict)
            and isinstance(entry.get("secret"), str)
            and isinstance(entry.get("identity"), str)
            for entry in entries
        ):
            raise ValueError(
                f"{self.secrets_path} must be a list of objects with 'secret' and 'identity'"
            )
        return entries

    def config(self) -> str:
        """Returns the server's configuration, in TOML."""
        plugin, *natives = spark_jars()
        # JSON's strings and lists are TOML's.
        values: dict[str, dict[str, object]] = {
            "": {"listen": f"127.0.0.1:{self.port}", "data": str(self.folder / "data")},
            "firesteel": {
                "python": str(Path(__file__).resolve().parents[2]),
                "jar": plugin,
                "jars": natives,
            },
            "clusters.default": {
                "master": self.master,
                "spark_submit": str(_spark_submit()),
                "data": self.data,
                "environment": {"PYSPARK_PYTHON": sys.executable},
            },
        }
        return "\n".join(_table(name, table) for name, table in values.items())

    def run(self) -> None:
        """Imports the secrets and serves until it is interrupted.

        Raises
        ------
        FileNotFoundError
            If the secrets file or the server's program is missing.
        RuntimeError
            If the secrets are not imported, or the server ends with an error; its output says why.
        """
        self.read_secrets()
        binary = str(server_binary())
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self.folder / "punchcard.toml"
        file.write_text(self.config())
        imported = [binary, "secrets", "import", "--config", str(file), self.secrets_path]
        code = subprocess.run(imported, check=False).returncode
        if code != 0:
            raise RuntimeError(
                f"the secrets of {self.secrets_path} were not imported (exit code {code}); the "
                "output of the server's program says why"
            )
        server = subprocess.Popen([binary, "serve", "--config", str(file)])
        with _forwarded_termination(server):
            try:
                code = server.wait()
            except KeyboardInterrupt:
                # The terminal sends the signal to the server, too.
                code = server.wait()
        if code not in (0, -signal.SIGTERM, -signal.SIGINT):
            raise RuntimeError(f"the server ended with exit code {code}")


@contextmanager
def _forwarded_termination(server: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends the server when this process is asked to end."""
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread handles signals.
        yield
        return

    def forward(number: int, frame: FrameType | None) -> None:
        server.terminate()

    previous = signal.signal(signal.SIGTERM, forward)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _spark_submit() -> Path:
    """Returns the program spark-submit of SPARK_HOME, of the path or of PySpark."""
    import pyspark

    home = os.environ.get("SPARK_HOME")
    if home:
        return Path(home) / "bin/spark-submit"
    found = shutil.which("spark-submit")
    return Path(found) if found else Path(pyspark.__file__).parent / "bin/spark-submit"


def _table(name: str, values: dict[str, object]) -> str:
    lines = [f"[{name}]"] if name else []
    for key, value in values.items():
        if isinstance(value, dict):
            inner = ", ".join(f"{one} = {json.dumps(text)}" for one, text in value.items())
            lines.append(f"{key} = {{ {inner} }}")
        else:
            lines.append(f"{key} = {json.dumps(value)}")
    return "\n".join([*lines, ""])
