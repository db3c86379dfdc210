"""Downloads of the client, over connections that break."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("httpx")
from firesteel.punchcard import ChecksumError, Client, NotFoundError
from punchcard_server import Answer, Server, ranged

CONTENT = bytes(range(256)) * 4000


def test_a_broken_download_continues_and_appears_when_it_is_complete(
    server: Server, client: Client, tmp_path: Path
) -> None:
    server.has_artifacts({"model.zip": CONTENT})
    path = "/jobs/j1/artifacts/model.zip"
    # Each connection brings something, so that the number of attempts does not matter.
    cuts = [100_000] * 8
    server.on("GET", path, ranged(CONTENT, cuts))
    target = client.download("j1", "model.zip", tmp_path)
    assert target == tmp_path / "model.zip" and target.read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["model.zip"]
    ranges = [request.headers.get("range") for request in server.to(path)]
    assert ranges == [None, *[f"bytes={100_000 * done}-" for done in range(1, 9)]]
    assert client.artifact("j1", "model.zip") == CONTENT


def test_a_target_with_a_slash_at_its_end_is_a_folder(
    server: Server, client: Client, tmp_path: Path
) -> None:
    server.has_artifacts({"weights": CONTENT})
    found = client.download("j1", "weights", f"{tmp_path}/new/results/")
    assert found == tmp_path / "new/results/weights" and found.read_bytes() == CONTENT
    # Without the slash it is a file, unless there is such a folder.
    assert client.download("j1", "weights", f"{tmp_path}/other/file") == tmp_path / "other/file"
    assert client.download("j1", "weights", f"{tmp_path}/new") == tmp_path / "new/weights"
    with pytest.raises(NotFoundError):
        client.download("j1", "missing", f"{tmp_path}/none/")
    assert not (tmp_path / "none").exists()


def test_a_download_of_an_earlier_process_continues(
    server: Server, client: Client, tmp_path: Path
) -> None:
    server.has_artifacts({"a": CONTENT, "b": CONTENT, "c": CONTENT})
    (tmp_path / "a.part").write_bytes(CONTENT[:1000])
    assert client.download("j1", "a", tmp_path).read_bytes() == CONTENT
    assert server.to("/jobs/j1/artifacts/a")[0].headers["range"] == "bytes=1000-"
    # A part that is complete, and one of another version that is longer.
    (tmp_path / "b.part").write_bytes(CONTENT)
    assert client.download("j1", "b", tmp_path / "b").read_bytes() == CONTENT
    assert server.to("/jobs/j1/artifacts/b") == []
    (tmp_path / "c.part").write_bytes(CONTENT + b"1")
    assert client.download("j1", "c", tmp_path).read_bytes() == CONTENT
    # A server that does not give ranges.
    server.on("GET", "/jobs/j1/artifacts/a", Answer(body=CONTENT))
    (tmp_path / "a.part").write_bytes(CONTENT[:1000])
    assert client.download("j1", "a", tmp_path).read_bytes() == CONTENT


def test_wrong_bytes_are_not_kept(server: Server, client: Client, tmp_path: Path) -> None:
    server.has_artifacts({"model.zip": CONTENT})
    server.on("GET", "/jobs/j1/artifacts/model.zip", ranged(CONTENT[::-1]))
    with pytest.raises(ChecksumError, match=r"'model\.zip' of job j1"):
        client.download("j1", "model.zip", tmp_path)
    assert not (tmp_path / "model.zip").exists()
    assert (tmp_path / "model.zip.part").read_bytes() == b""
    with pytest.raises(NotFoundError, match=r"no artefact 'other'; it has model\.zip"):
        client.artifact("j1", "other")


@pytest.mark.parametrize("name", ["../evil", "a/b", ".bashrc", ".."])
def test_names_of_artefacts_stay_in_the_folder(
    server: Server, client: Client, tmp_path: Path, name: str
) -> None:
    server.has_artifacts({name: b"evil"})
    for target in (tmp_path, f"{tmp_path}/new/"):
        with pytest.raises(ValueError, match="needs a target file"):
            client.download("j1", name, target)
    assert list(tmp_path.iterdir()) == []
