"""The command line of Punchcard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("httpx")
from conftest import ROOT
from firesteel.punchcard.cli import main
from firesteel.punchcard.commands import COMMANDS
from firesteel.punchcard.settings import read_settings
from punchcard_server import TOKEN, Answer, Server, event, job, problem, serving, sse

ADDRESS, SECRET = "FIRESTEEL_PUNCHCARD_ADDRESS", "FIRESTEEL_PUNCHCARD_TOKEN"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A configuration folder of its own."""
    for name in (ADDRESS, SECRET, "FIRESTEEL_PUNCHCARD_CA", "FIRESTEEL_PUNCHCARD_BINARY"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "config"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as found:
        monkeypatch.setenv(ADDRESS, found.address)
        monkeypatch.setenv(SECRET, TOKEN)
        yield found


def test_a_program_is_submitted_with_its_arguments(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on("POST", "/jobs", Answer(202, job()))
    program, table = tmp_path / "train.py", tmp_path / "table.csv"
    program.write_text("pass")
    table.write_text("1")
    options = ["--executors", "2", "--conf", "spark.a=b=c", "--file", str(table)]
    options += ["--file", f"other.csv={table}", "--memory", "1g", "--idempotency-key", "k"]
    code = main(["submit", *options, str(program), "--", "--epochs", "5", "-f", "--json"])
    assert code == 0
    assert capsys.readouterr().out == "j1  QUEUED, place 1 in the queue\n"
    [sent] = server.to("/jobs")
    assert sent.headers["idempotency-key"] == "k"
    document = sent.json()
    work = document.pop("work")
    assert document == {
        "name": "train.py",
        "executors": 2,
        "memory": "1g",
        "conf": {"spark.a": "b=c"},
    }
    assert work["arguments"] == ["--epochs", "5", "-f", "--json"]
    assert list(work["files"]) == ["table.csv", "other.csv"]
    assert server.uploads[work["file"]] == b"pass"


def test_work_in_a_file_is_submitted_with_its_uploads(server: Server, tmp_path: Path) -> None:
    server.on("POST", "/jobs", Answer(202, job()))
    (tmp_path / "net.json").write_text("{}")
    file = tmp_path / "work.json"
    file.write_text(json.dumps({"kind": "trainer", "network": "net.json", "weights": None}))
    assert main(["submit", "--work", str(file), "--name", "mnist"]) == 0
    document = server.to("/jobs")[0].json()
    assert document["name"] == "mnist" and document["work"]["weights"] is None
    assert server.uploads[document["work"]["network"]] == b"{}"


@pytest.mark.parametrize(("state", "code"), [("SUCCEEDED", 0), ("FAILED", 1), ("CANCELLED", 1)])
def test_following_a_log_ends_with_the_state(
    server: Server, capsys: pytest.CaptureFixture[str], state: str, code: int
) -> None:
    log = ("log", "6", {"offset": 0, "text": "hello\n"})
    server.on("GET", "/jobs/j1/log/stream", Answer(body=sse(log, ("end", "", {"state": state}))))
    server.on("GET", "/jobs/j1", Answer(body=job(state=state, reason="because")))
    assert main(["logs", "-f", "j1"]) == code
    printed = capsys.readouterr()
    assert printed.out == "hello\n" and printed.err == f"j1  {state}: because\n"


def test_jobs_events_and_the_user_are_printed(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = {"epoch": 2, "epochs": 5, "loss": None, "rows": 9}
    jobs = [job("j2", state="RUNNING", progress=progress), job("j1", progress={"rows": 3})]
    server.on("GET", "/jobs", Answer(body={"jobs": jobs, "next": None}))
    assert main(["list", "--state", "running", "--limit", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ID", "STATE", "USER", "CREATED", "PROGRESS", "NAME"]
    assert len(lines) == 2 and "RUNNING" in lines[1] and "2/5" in lines[1]
    assert server.requests[0].query["state"] == ["RUNNING"]
    assert main(["list"]) == 0
    assert "?/?" in capsys.readouterr().out.splitlines()[2]
    assert main(["list", "--json"]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["id"] for one in documents] == ["j2", "j1"]
    assert documents[0]["created_at"] == "2026-11-30T05:10:00.123Z"

    server.has_events(event(1, loss=0.5, epoch=1))
    assert main(["events", "j1"]) == 0
    assert "loss 0.5, epoch 1" in capsys.readouterr().out
    assert main(["events", "j1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == {"loss": 0.5, "epoch": 1}

    me = {"name": "ada", "role": "user", "programs": False}
    me |= {"quota": {"running": 4, "log_bytes": 9}, "usage": {"running": 1}}
    server.on("GET", "/me", Answer(body=me))
    assert main(["whoami"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("ada (user), may not run programs\n") and "running: 1 of 4" in printed


def test_jobs_are_cancelled_and_resubmitted(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    cancelled = job(state="CANCELLED", position=None)
    server.on("POST", "/jobs/j1/cancel", Answer(202, cancelled))
    server.on("POST", "/jobs/j1/resubmit", Answer(202, job("j2")))
    assert main(["cancel", "j1"]) == 0 and main(["resubmit", "--json", "j1"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "j1  CANCELLED" and json.loads(second)["id"] == "j2"
    server.on("POST", "/jobs/j1/cancel", Answer(202, job(state="RUNNING", position=None)))
    assert main(["cancel", "j1"]) == 0
    assert capsys.readouterr().out == "j1  RUNNING, cancel requested\n"


def test_artefacts_are_fetched_into_a_folder(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.has_artifacts({"a.json": b"{}", "b.zip": b"123"})
    folder = tmp_path / "new/folder"
    assert main(["fetch", "j1", "-o", str(folder)]) == 0
    assert (folder / "a.json").read_bytes() == b"{}" and (folder / "b.zip").read_bytes() == b"123"
    assert main(["fetch", "j1", "--list"]) == 0
    assert capsys.readouterr().out.split()[-4:] == ["2", "a.json", "3", "b.zip"]


def test_a_log_is_printed_as_it_is(
    server: Server, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    content = "ä".encode() + b"\xff\n"
    headers = {"X-Firesteel-Offset": "0", "X-Firesteel-Next": "4", "X-Firesteel-End": "true"}
    server.on("GET", "/jobs/j1/log", Answer(body=content, headers=headers))
    assert main(["logs", "j1"]) == 0
    assert capsysbinary.readouterr().out == content


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (problem(401, "unauthenticated", "unknown token"), 3),
        (problem(403, "forbidden", "not yours"), 3),
        (problem(404, "not_found", "no such job"), 4),
        (problem(422, "invalid", "limit: must be a number"), 2),
        (problem(409, "conflict", "is final"), 1),
        (problem(500, "internal", "broken"), 1),
    ],
)
def test_each_error_has_its_exit_code(
    server: Server, capsys: pytest.CaptureFixture[str], answer: Answer, code: int
) -> None:
    server.on("POST", "/jobs/j1/cancel", answer)
    assert main(["cancel", "j1"]) == code
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("firesteel-punchcard: ")
    assert main(["cancel", "j1", "--json"]) == code
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["detail"] == answer.body["detail"]  # type: ignore[call-overload,index]


def test_wrong_use_is_told(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit"]) == 2
    assert "either a program or --work FILE" in capsys.readouterr().err
    assert main(["submit", "--conf", "spark.a", "x.py"]) == 2
    assert "--conf must be KEY=VALUE, not 'spark.a'" in capsys.readouterr().err
    assert main(["submit", "missing.py"]) == 1
    assert "missing.py: there is no such file" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["cancel"])


def test_settings_come_from_options_then_the_environment_then_the_file(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["whoami"]) == 2
    assert f"the address is missing: give --address, set {ADDRESS}" in capsys.readouterr().err
    file = home / "firesteel/punchcard.toml"
    file.parent.mkdir(parents=True)
    file.write_text('address = "https://a"\ntoken = "t"\nca = "/ca.pem"\n')
    found = read_settings()
    assert (found.address, found.token, found.ca) == ("https://a", "t", "/ca.pem")
    assert found.insecure is False
    monkeypatch.setenv(ADDRESS, "https://b")
    assert read_settings().address == "https://b" and read_settings().token == "t"
    assert read_settings("https://c", "u").address == "https://c"
    for text, error in (("address = ", "not readable as TOML"), ("adress = 'a'", "unknown keys")):
        file.write_text(text)
        assert main(["whoami"]) == 2
        assert error in capsys.readouterr().err


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "firesteel.punchcard.cli", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "spark-plugin/python"), **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_commands_of_the_server_are_its_programs(tmp_path: Path) -> None:
    binary = tmp_path / "server"
    binary.write_text('#!/bin/sh\necho "$0 $@"\nexit 7\n')
    binary.chmod(0o755)
    arguments = ["token", "new", "--identity", "ada lovelace"]
    done = run(*arguments, FIRESTEEL_PUNCHCARD_BINARY=str(binary))
    assert done.returncode == 7
    assert done.stdout == f"{binary} token new --identity ada lovelace\n"


def test_without_the_servers_program_the_error_says_so(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    done = run("serve", FIRESTEEL_PUNCHCARD_BINARY=missing)
    assert done.returncode == 2
    assert f"FIRESTEEL_PUNCHCARD_BINARY names {missing}, which is not a program" in done.stderr
    assert f"'serve' is not a command of the client ({', '.join(COMMANDS)})" in done.stderr


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    folder = tmp_path / "firesteel-7.8.9.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: firesteel\nVersion: 7.8.9\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT / "spark-plugin/python")])
    done = run("--version", PYTHONPATH=path)
    assert (done.returncode, done.stdout) == (0, "firesteel-punchcard 7.8.9\n"), done.stderr


def test_a_name_filters_by_a_part_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["list", "--help"])
    assert "only jobs whose name contains this" in " ".join(capsys.readouterr().out.split())
