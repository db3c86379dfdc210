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
    code = main(["submit", *options, str(program), "--", "--epochs", "5", "-f", "--", "--json"])
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
    assert work["arguments"] == ["--epochs", "5", "-f", "--", "--json"]
    assert list(work["files"]) == ["table.csv", "other.csv"]
    assert server.uploads[work["file"]] == b"pass"


@pytest.mark.parametrize(
    "option", ["--name", "--name=ticks", "--executors", "-f", "--json", "--address", "--help"]
)
def test_an_option_after_the_program_is_told_apart_from_its_arguments(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    server.on("POST", "/jobs", Answer(202, job()))
    program = tmp_path / "train.py"
    program.write_text("pass")
    assert main(["submit", str(program), "--epochs", "5", option, "2"]) == 2
    error = capsys.readouterr().err
    assert f"the option {option.partition('=')[0]} is after the program {program}" in error
    assert f"submit {program} -- --epochs 5 {option} 2" in error
    assert server.requests == []
    for line in (["--", str(program)], [str(program), "--"], [str(program)]):
        given = [option] if "--" in line else []
        assert main(["submit", *line, "--epochs", "5", *given]) == 0
        assert server.to("/jobs")[-1].json()["work"]["arguments"] == ["--epochs", "5", *given]


def test_the_place_in_the_queue_is_asked_for_after_a_submission(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on("POST", "/jobs", Answer(202, job(state="ACCEPTED", position=None)))
    server.on("GET", "/jobs/j1", Answer(body=job(position=3)))
    file = tmp_path / "work.json"
    file.write_text("{}")
    assert main(["submit", "--work", str(file)]) == 0
    assert capsys.readouterr().out == "j1  QUEUED, place 3 in the queue\n"
    # The job is there, whatever happens then.
    server.on("GET", "/jobs/j1", problem(500, "internal", "broken"))
    assert main(["submit", "--work", str(file)]) == 0
    assert capsys.readouterr().out == "j1  ACCEPTED\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", "is not JSON: Expecting property name"),
        ("[]", "must have a JSON object"),
        ('{"network": 5}', "'network' in {file} must be a path, not 5"),
        ('{"files": ["a"]}', "'files' in {file} must be an object of paths by name"),
        ('{"files": {"a": null}}', "'files.a' in {file} must be a path, not null"),
        ('{"network": "none.json"}', "{folder}/none.json: No such file or directory"),
    ],
)
def test_what_is_wrong_with_a_file_of_work_is_told_with_its_name(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, error: str
) -> None:
    file = tmp_path / "work.json"
    file.write_text(text)
    assert main(["submit", "--work", str(file)]) in (1, 2)
    printed = capsys.readouterr().err
    assert error.format(file=file, folder=tmp_path) in printed and str(tmp_path) in printed
    assert main(["submit", "--work", f"{file}.none"]) == 1
    assert (
        capsys.readouterr().err == f"firesteel-punchcard: {file}.none: No such file or directory\n"
    )


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
    with pytest.raises(SystemExit, match="2"):
        main(["list", "--state", "done"])
    assert "'SUCCEEDED', 'FAILED', 'CANCELLED'" in capsys.readouterr().err
    assert main(["list"]) == 0
    assert "?/?" in capsys.readouterr().out.splitlines()[2]
    assert main(["list", "--json"]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["id"] for one in documents] == ["j2", "j1"]
    assert documents[0]["created_at"] == "2026-11-30T05:10:00.123Z"

    accepted = event(1, "state", state="ACCEPTED", reason=None)
    failed = event(3, "state", state="FAILED", reason="no column 'x'")
    epoch = event(2, loss=0.5, epoch=1, metrics={"accuracy": 0.9})
    server.has_events(accepted, epoch, failed)
    assert main(["events", "j1"]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.endswith("  state     ACCEPTED") and third.endswith("  FAILED: no column 'x'")
    assert second.endswith("  epoch     loss 0.5, epoch 1, accuracy 0.9")
    server.has_events(event(1, loss=0.5, epoch=1))
    assert main(["events", "j1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == {"loss": 0.5, "epoch": 1}

    me = {"name": "ada", "role": "user", "programs": False}
    quota = {"running": 4, "log_bytes": 1 << 26, "upload_bytes": 17179869184, "retention_days": 30}
    me |= {"quota": quota, "usage": {"running": 1, "upload_bytes": 1536}}
    server.on("GET", "/me", Answer(body=me))
    assert main(["whoami"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines() == [
        "ada (user), may not run programs",
        "  running: 1 of 4",
        "  log_bytes: 64 MiB",
        "  upload_bytes: 1.5 KiB of 16 GiB",
        "  retention_days: 30",
    ]


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
    server.on(
        "POST", "/jobs/j1/cancel", Answer(200, job(state="FAILED", position=None, reason="a\nb"))
    )
    assert main(["cancel", "j1"]) == 0
    assert capsys.readouterr().out == (
        "j1  FAILED, had already finished, nothing was cancelled: a b\n"
    )


def test_the_details_of_a_job_are_shown(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    progress = {"epoch": 2, "epochs": 5, "loss": 0.25, "rows": 9}
    changed = {"state": "FAILED", "reason": "no column 'x'", "attempt": 2, "retries": 2}
    changed |= {"progress": progress, "position": None, "exit_code": 1}
    server.on("GET", "/jobs/j1", Answer(body=job(**changed, request={"name": "mnist"})))
    assert main(["show", "j1"]) == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    values = {key: value.strip() for key, value in lines.items()}
    assert values["reason"] == "no column 'x'" and values["state"] == "FAILED"
    assert values["attempt"] == "2 of at most 3" and values["exit code"] == "1"
    assert values["progress"] == "epoch 2/5, loss 0.25, 9 rows"
    assert "place in the queue" not in values and "Spark application" not in values
    assert main(["show", "j1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["request"] == {"name": "mnist"}


def test_a_finished_job_is_deleted(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.on("DELETE", "/jobs/j1", Answer(204))
    assert main(["delete", "j1"]) == 0 and main(["delete", "j1", "--json"]) == 0
    text, document = capsys.readouterr().out.splitlines()
    assert text == "j1  deleted" and json.loads(document) == {"id": "j1", "deleted": True}
    refused = problem(409, "conflict", "the job is RUNNING; cancel it first")
    server.on("DELETE", "/jobs/j1", refused)
    assert main(["delete", "j1"]) == 1
    assert "cancel it first" in capsys.readouterr().err


def test_artefacts_are_fetched_into_a_folder(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.has_artifacts({"a.json": b"{}", "b.zip": b"123"})
    folder = tmp_path / "new/folder"
    assert main(["fetch", "j1", "-o", str(folder)]) == 0
    assert (folder / "a.json").read_bytes() == b"{}" and (folder / "b.zip").read_bytes() == b"123"
    assert main(["fetch", "j1", "--list"]) == 0
    assert capsys.readouterr().out.split()[-4:] == ["2", "a.json", "3", "b.zip"]


def test_a_job_without_artefacts_is_told(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.has_artifacts({})
    for kind, arguments in (("program", ["-o", str(tmp_path / "new")]), ("trainer", ["--list"])):
        server.on("GET", "/jobs/j1", Answer(body=job(state="SUCCEEDED", kind=kind)))
        assert main(["fetch", "j1", *arguments]) == 4
        error = capsys.readouterr().err
        assert "job j1 has no artefacts; its state is SUCCEEDED" in error
        assert ("$FIRESTEEL_PUNCHCARD_RESULTS" in error) == (kind == "program")
    assert not (tmp_path / "new").exists()
    file = tmp_path / "file"
    file.write_text("")
    assert main(["fetch", "j1", "-o", str(file)]) == 2
    assert f"--output must be a folder, but {file} is a file" in capsys.readouterr().err


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
    assert main(["whoami", "--address", "https://a"]) == 3
    assert f"the token is missing: give --token, set {SECRET}" in capsys.readouterr().err
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


def test_the_package_is_the_command_line_where_nothing_is_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "firesteel.punchcard", "--help"],
        cwd=ROOT / "spark-plugin/python",
        check=True,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout.startswith("usage: firesteel-punchcard ")
    assert all(f"    {name} " in done.stdout for name in COMMANDS)


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
