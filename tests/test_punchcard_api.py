"""Punchcard's interface against its description, by requests that Schemathesis makes of it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import BUILD
from firesteel.punchcard import Client, Program
from punchcard import Server, punchcard, wait

SCHEMATHESIS = BUILD / "venv-api" / "bin" / "st"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ignored_auth",
)
# Leaves an artefact and a log.
PROGRAM = 'echo 0123456789 > "$FIRESTEEL_PUNCHCARD_RESULTS/a.bin"\necho done\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with punchcard(tmp_path_factory.mktemp("api") / "punchcard", script=True) as running:
        running.add("root", "--admin", "--programs")
        running.add("ada", "--programs")
        running.add("eve")
        yield running


def finished_jobs(client: Client, folder: Path, count: int) -> list[str]:
    """Submits jobs that succeed; returns their ids."""
    program = folder / "program.py"
    program.write_text(PROGRAM)
    ids = [client.submit(f"job {n}", Program(program, [])).id for n in range(count)]
    for id in ids:
        wait(client, id, "SUCCEEDED")
    return ids


@pytest.mark.parametrize("user", ["root", "ada"])
def test_the_server_answers_as_its_description_says(
    server: Server, tmp_path: Path, user: str
) -> None:
    with server.client(user) as client:
        ids = [*finished_jobs(client, tmp_path, 4), client.upload(b"0").id, client.upload(b"1").id]
    lines = [
        "[dictionaries.ids]",
        f"values = {json.dumps(ids)}",
        "[dictionaries.names]",
        f"values = {json.dumps(['a.bin', 'ada'])}",
        "[parameters]",
        "'path.id' = { dictionary = 'ids', probability = 0.5 }",
        "'path.name' = { dictionary = 'names', probability = 0.5 }",
    ]
    # The users of the tests stay, with their rights.
    for method in ("PATCH", "DELETE"):
        lines += [
            "[[operations]]",
            f"include-name = '{method} /api/v1/users/{{name}}'",
            "parameters = { name = 'eve' }",
        ]
    config = tmp_path / "schemathesis.toml"
    config.write_text("\n".join(lines))
    command = [
        *(str(SCHEMATHESIS), "--config-file", str(config), "run"),
        *("--header", f"Authorization: Bearer {server.tokens[user]}"),
        *("--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing", "--max-examples", "4"),
        *("--seed", "1", "--generation-deterministic"),
        *("--continue-on-failure", "--no-shrink", "--no-color", "--warnings", "off"),
        *("--request-timeout", "30", "--output-truncate", "false"),
        f"{server.address}/api/v1/openapi.json",
    ]
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None and int(tested[1]) > 25, done.stdout
    # The requests have left the server as it was: it works, and its users have the same rights.
    for name, role in (("root", "admin"), ("ada", "user")):
        with server.client(name) as client:
            assert client.me().role == role
            finished_jobs(client, tmp_path, 1)


def test_the_description_names_each_operation_once(server: Server) -> None:
    description = httpx.get(f"{server.address}/api/v1/openapi.json", timeout=60).json()
    operations = [one for path in description["paths"].values() for one in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) > 20 and len(set(ids)) == len(ids), sorted(ids)
    for operation in operations:
        for status, response in operation["responses"].items():
            if status[0] in "45":
                assert list(response["content"]) == ["application/problem+json"]
