#!/usr/bin/env python3
"""Fails if a documentation comment begins with a question word or a Markdown line is too long.

Usage: doc_first_lines.py [rust] [scala] [python] [markdown] (all of them without an argument)

The first line of a Rust doc comment, of a Scaladoc or Javadoc comment and of a Python docstring
names the thing or begins with a verb. Markdown has lines of at most 120 characters outside of
tables and code fences.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from source_check import run

MAX_MARKDOWN = 120
QUESTION = re.compile(r"(?:What|Whether|How|Who|Where|Why)\b")
RUST_DOC = re.compile(r"\s*(///|//!)(?!/) ?(.*)")
SCALA_DOC = re.compile(r"/\*\*[\s*]*?(?=[^\s*])([^\n]*)")
SKIPPED = {"target", "build", "dist", "__pycache__", ".venv", "node_modules"}
Finding = tuple[Path, int, str]


def files(root: Path, folders: Iterable[str], suffixes: Iterable[str]) -> Iterator[Path]:
    """Yields the source files below folders, without what was built."""
    for folder in folders:
        for file in sorted((root / folder).rglob("*")):
            inside = file.relative_to(root).parts
            if file.suffix in suffixes and file.is_file() and not SKIPPED.intersection(inside):
                yield file


def rust(root: Path) -> Iterator[Finding]:
    """Yields the first lines of doc comments in Rust that begin with a question word."""
    for file in files(root, ["native"], [".rs"]):
        marker = None
        for number, line in enumerate(file.read_text().splitlines(), 1):
            found = RUST_DOC.match(line)
            if found and found[1] != marker and QUESTION.match(found[2]):
                yield file, number, line.strip()
            marker = found[1] if found else None


def scala(root: Path) -> Iterator[Finding]:
    """Yields the first lines of doc comments in Scala and Java that begin with a question word."""
    for file in files(root, ["spark-plugin", "examples", "tests"], [".scala", ".java"]):
        text = file.read_text()
        for found in SCALA_DOC.finditer(text):
            if QUESTION.match(found[1]):
                yield file, text.count("\n", 0, found.start(1)) + 1, found[1].strip()


def python(root: Path) -> Iterator[Finding]:
    """Yields the first lines of docstrings that begin with a question word."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for file in files(root, ["spark-plugin", "examples", "tests", "scripts"], [".py"]):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, documented):
                first = (ast.get_docstring(node) or "").split("\n")[0]
                if QUESTION.match(first):
                    yield file, node.body[0].lineno, first


def markdown(root: Path) -> Iterator[Finding]:
    """Yields the lines of Markdown that are too long."""
    pages = [root / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    for file in [*pages, *files(root, ["docs", "examples"], [".md"])]:
        fenced = False
        for number, line in enumerate(file.read_text().splitlines() if file.exists() else [], 1):
            if line.lstrip().startswith(("```", "~~~")):
                fenced = not fenced
            elif not fenced and not line.lstrip().startswith("|") and len(line) > MAX_MARKDOWN:
                yield file, number, f"{len(line)} characters, at most {MAX_MARKDOWN}"


CHECKS = {"rust": rust, "scala": scala, "python": python, "markdown": markdown}


def report(root: Path, checks: Iterable[str]) -> list[str]:
    """Returns a line for each finding of the checks."""
    found = [finding for check in checks for finding in CHECKS[check](root)]
    return [f"{file.relative_to(root)}:{number}: {text}" for file, number, text in found]


if __name__ == "__main__":
    sys.exit(run(CHECKS, report, "begin a comment with a noun phrase or a verb, and wrap Markdown"))
