#!/usr/bin/env python3
"""Writes licenses/rust-crates.txt: the Rust crates in Firesteel's programs and their license texts.

Usage: rust_licenses.py [--check]

With --check it writes nothing and fails if the file is not current. Cargo.lock has the versions,
and cargo's own copies of the crates have the texts.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "licenses" / "rust-crates.txt"
# The packages of the library and of the job server.
PACKAGES = ("firesteel-bridge", "firesteel-punchcard")
TARGET = "x86_64-unknown-linux-gnu"
WIDTH = 100
LEGAL_FILE = re.compile(
    r"(licen[cs]e|copying|copyright|notice|unlicense)(?![a-z]).*(?<!\.rs)", re.IGNORECASE
)
# In the order of preference.
PREFERRED = ("Apache-2.0", "MIT")
# Zstandard is used under the BSD license in the file beside this one, which has the GPL.
UNUSED = {("zstd-sys", "zstd/COPYING")}
INTRODUCTION = """\
The Rust crates in libfiresteel.so and in the job server firesteel-punchcard, and below them the
texts of their licenses with the names of the crates that have this text. A crate with a choice of
licenses is used under Apache-2.0 if that is one of them, else under MIT, else under the first one.

scripts/rust_licenses.py (make licenses) writes this file.

"""


@dataclass(frozen=True, order=True)
class Crate:
    """A crate that is linked into the library or the job server."""

    name: str
    version: str
    license: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def cargo(*arguments: str) -> str:
    """Returns the output of a command of cargo."""
    command = ["cargo", *arguments, "--locked"]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def linked_crates() -> list[Crate]:
    """Returns the crates of others in the programs, without those that only run in the compiler."""
    packages = [argument for package in PACKAGES for argument in ("--package", package)]
    tree = cargo(
        *("tree", *packages, "--edges", "normal,no-proc-macro"),
        *("--target", TARGET, "--prefix", "none", "--format", "{p}"),
    )
    linked = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", TARGET))
    return sorted(
        Crate(
            package["name"],
            package["version"],
            package["license"].replace("/", " OR "),
            Path(package["manifest_path"]).parent,
        )
        for package in metadata["packages"]
        if package["source"] and (package["name"], f"v{package['version']}") in linked
    )


def unused_licenses(expression: str) -> list[str]:
    """Returns the licenses of an SPDX expression that are offered but not used."""
    if " AND " in expression:
        return []
    choice = expression.split(" OR ")
    used = next((name for name in PREFERRED if name in choice), choice[0])
    return [name for name in choice if name != used]


def is_used(file: str, expression: str) -> bool:
    """Returns true unless the name of a crate's file is that of a license that is not used."""

    def named(spdx: str) -> bool:
        if " WITH " in spdx:
            return "llvm" in file.lower()
        return spdx.split("-")[0].lower() in re.split(r"[-_.]", file.lower())

    return not any(named(spdx) for spdx in unused_licenses(expression))


def legal_files(crate: Crate) -> Iterator[Path]:
    """Yields the files with the used licenses and the notices of a crate."""
    for file in sorted(crate.folder.rglob("*")):
        inside = file.relative_to(crate.folder).as_posix()
        if (
            LEGAL_FILE.fullmatch(file.name)
            and file.is_file()
            and (crate.name, inside) not in UNUSED
            and is_used(file.name, crate.license)
        ):
            yield file


def legal_texts(crate: Crate) -> list[str]:
    """Returns the texts of the used licenses and of the notices of a crate."""
    files = list(legal_files(crate))
    if not files and "Apache-2.0" in crate.license.split(" OR "):
        files = [ROOT / "LICENSE"]
    if not files:
        raise SystemExit(f"error: {crate.folder} has no license file; add its text by hand")
    texts = [file.read_text("utf-8").strip("\n").splitlines() for file in files]
    return ["\n".join(line.rstrip() for line in lines) for lines in texts]


def page(crates: Iterable[Crate]) -> str:
    """Returns the content of the file."""
    parts = [INTRODUCTION]
    covered: dict[str, tuple[str, list[Crate]]] = {}
    for crate in crates:
        parts.append(f"{crate!s:<32}{crate.license}\n")
        for text in legal_texts(crate):
            _, users = covered.setdefault(" ".join(text.split()), (text, []))
            if crate not in users:
                users.append(crate)
    for text, users in covered.values():
        names = textwrap.fill(", ".join(map(str, users)), WIDTH, break_on_hyphens=False)
        parts.append(f"\n{'=' * WIDTH}\n{names}\n{'-' * WIDTH}\n\n{text}\n")
    return "".join(parts)


def main() -> int:
    """Writes the file, or compares it."""
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    text = page(linked_crates())
    if not sys.argv[1:]:
        OUTPUT.write_text(text, "utf-8")
    elif not OUTPUT.exists() or OUTPUT.read_text("utf-8") != text:
        print(f"{OUTPUT.relative_to(ROOT)} is not current: run `make licenses`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
