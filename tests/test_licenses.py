"""The license texts in the jars, and the choice of those of Rust crates."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from conftest import BUILD, NATIVES_JAR, PLUGIN_JAR, ROOT

sys.path.insert(0, str(ROOT / "scripts"))

import rust_licenses
from rust_licenses import Crate

LICENSES = "META-INF/licenses/"


def crate(folder: Path, expression: str, *files: str) -> Crate:
    for name in files:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"The text of\n  {name}\n")
    return Crate("one", "1.0.0", expression, folder)


def test_the_plugin_jar_has_the_licenses_of_the_crates() -> None:
    with zipfile.ZipFile(PLUGIN_JAR) as jar:
        expected = (ROOT / "licenses" / "rust-crates.txt").read_bytes()
        assert jar.read(f"{LICENSES}rust-crates.txt") == expected


def test_the_natives_jar_has_the_licenses_of_its_libraries() -> None:
    with zipfile.ZipFile(NATIVES_JAR) as jar:
        names = set(jar.namelist())
    assert {"META-INF/LICENSE", "META-INF/NOTICE"} <= names
    for name, folder in {
        "libtorch": BUILD / "libtorch" / "licenses",
        "libgomp": ROOT / "licenses" / "libgomp",
        "mkl": ROOT / "licenses" / "mkl",
    }.items():
        files = [file for file in folder.rglob("*") if file.is_file()]
        assert files, name
        assert {f"{LICENSES}{name}/{file.relative_to(folder)}" for file in files} <= names


@pytest.mark.parametrize(
    ("expression", "unused"),
    [
        ("MIT OR Apache-2.0", {"LICENSE-MIT"}),
        ("Unlicense OR MIT", {"UNLICENSE"}),
        (
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0",
            {"LICENSE-Apache_LLVM-exception"},
        ),
        ("Apache-2.0 AND MIT", set()),
    ],
)
def test_of_a_choice_of_licenses_the_texts_of_the_used_one_are_kept(
    tmp_path: Path, expression: str, unused: set[str]
) -> None:
    files = [
        "LICENSE-APACHE",
        "LICENSE-Apache_LLVM-exception",
        "LICENSE-MIT",
        "UNLICENSE",
    ]
    text = rust_licenses.page([crate(tmp_path, expression, *files)])
    assert {name for name in files if f"  {name}\n" not in text} == unused


def test_notices_and_bundled_sources_are_kept(tmp_path: Path) -> None:
    files = ["LICENSE-APACHE", "NOTICE.txt", "COPYRIGHT", "vendor/c-library/LICENSE"]
    text = rust_licenses.page([crate(tmp_path, "MIT OR Apache-2.0", "src/lib.rs", *files)])
    assert all(f"  {name}\n" in text for name in files)
    assert "src/lib.rs" not in text


def test_equal_texts_are_written_once_with_all_their_crates(tmp_path: Path) -> None:
    first = crate(tmp_path / "first", "MIT", "LICENSE")
    second = Crate("two", "2.0.0", "MIT", tmp_path / "first")
    text = rust_licenses.page([first, second])
    assert text.count("The text of") == 1
    assert "\none 1.0.0, two 2.0.0\n" in text


def test_a_crate_without_a_text_is_an_error_unless_it_is_under_the_apache_license(
    tmp_path: Path,
) -> None:
    with pytest.raises(SystemExit, match="no license file"):
        rust_licenses.page([crate(tmp_path, "ISC")])
    assert "Apache License" in rust_licenses.page([crate(tmp_path, "MIT OR Apache-2.0")])
