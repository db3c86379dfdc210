"""The checks of module cycles and of documentation find what they are for, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

import doc_first_lines
import module_cycles

PLUGIN = "spark-plugin/src/main/scala/firesteel"
PYTHON = "spark-plugin/python/firesteel"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def crate(root: Path, files: dict[str, str]) -> Path:
    return write(root, {f"native/one/src/{name}": text for name, text in files.items()})


def test_a_cycle_of_rust_modules_is_named_with_an_import_for_each_edge(tmp_path: Path) -> None:
    root = crate(
        tmp_path,
        {
            "lib.rs": "mod a;\nmod b;\nmod c;\n",
            "a.rs": "use crate::{\n    b::{Thing, self},\n};\n",
            "b/mod.rs": "mod inner;\n",
            "b/inner.rs": "fn f() { super::super::c::g() }\n",
            "c.rs": "pub use crate::a::Other;\n",
        },
    )
    [found] = module_cycles.report(root, ["rust"])
    assert "native/one/src: a -> b -> c -> a" in found
    assert "a imports b: native/one/src/a.rs:1: use crate::{" in found
    assert "b imports c: native/one/src/b/inner.rs:1:" in found
    assert "c imports a: native/one/src/c.rs:1: pub use crate::a::Other;" in found


def test_tests_comments_parents_and_other_crates_make_no_cycle(tmp_path: Path) -> None:
    root = crate(
        tmp_path,
        {
            "lib.rs": "mod a;\nmod b;\npub use a::A;\n",
            "a.rs": """mod part;
use self::part::Part;
use other::b::B;
// use crate::b::B;
const TEXT: &str = "use crate::b::B;";
#[cfg(test)]
mod tests {
    use crate::b::B;
    fn f() { let _ = "}"; }
}
#[cfg(test)]
mod more;
""",
            "a/part.rs": "use super::A;\n",
            "a/more.rs": "use crate::b::B;\n",
            "b.rs": "use crate::a::A;\n",
        },
    )
    assert module_cycles.report(root, ["rust"]) == []


def test_children_of_a_rust_module_are_checked_through_re_exports(tmp_path: Path) -> None:
    root = crate(
        tmp_path,
        {
            "lib.rs": "mod a;\n",
            "a/mod.rs": "mod x;\nmod y;\npub use x::X;\n",
            "a/x.rs": "use crate::a::y::Y;\n",
            "a/y.rs": "use super::X;\n",
        },
    )
    [found] = module_cycles.report(root, ["rust"])
    assert "a::x -> a::y -> a::x" in found


def test_a_cycle_of_scala_packages_is_named(tmp_path: Path) -> None:
    files = {
        "a/A.scala": "package firesteel.a\n\nimport firesteel.{b, c}\n\nclass A\n",
        "b/B.scala": "package firesteel.b\n\n/** [[firesteel.a.A]] */\nclass B\n",
        "c/C.scala": "package firesteel\npackage c\n\nclass C { val a = new firesteel.a.A }\n",
        "d/D.scala": "package firesteel.d\n\nimport firesteel.a.A\n\nclass D\n",
    }
    root = write(tmp_path, {f"{PLUGIN}/{name}": text for name, text in files.items()})
    [found] = module_cycles.report(root, ["scala"])
    assert found.startswith("spark-plugin/src/main: a -> c -> a\n")
    assert "import firesteel.{b, c}" in found


def test_a_cycle_of_python_modules_is_named_but_not_one_of_types(tmp_path: Path) -> None:
    files = {
        "__init__.py": "from firesteel.a import A\n",
        "a.py": "from .b import B\n",
        "b.py": "def f():\n    import firesteel.a\n",
        "c.py": "if TYPE_CHECKING:\n    from firesteel.d import D\n",
        "d.py": "from firesteel import c\n",
    }
    root = write(tmp_path, {f"{PYTHON}/{name}": text for name, text in files.items()})
    [found] = module_cycles.report(root, ["python"])
    assert "a -> b -> a" in found
    assert f"b imports a: {PYTHON}/b.py:2: import firesteel.a" in found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("native/one/src/lib.rs", "//! Fine.\n\n/// Fine.\n/// What follows.\nfn f() {}\n"),
        ("native/one/src/lib.rs", "// What a comment may say.\n/// Whatever fits.\nfn f() {}\n"),
        (f"{PLUGIN}/A.scala", "/** Fine.\n  *\n  * What follows.\n  */\nclass A\n"),
        (f"{PYTHON}/a.py", '"""Fine.\n\nWhat follows.\n"""\n\nWHAT = """How it is."""\n'),
        ("docs/a.md", f"{'x' * 120}\n| {'x' * 200} |\n```text\n{'x' * 200}\n```\n"),
    ],
)
def test_good_documentation_passes(tmp_path: Path, name: str, text: str) -> None:
    root = write(tmp_path, {name: text})
    assert doc_first_lines.report(root, doc_first_lines.CHECKS) == []


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("native/one/src/lib.rs", "//! What it is.\n", 1),
        ("native/one/src/lib.rs", "struct A {\n    /// Whether it is.\n    a: bool,\n}\n", 2),
        ("native/one/src/lib.rs", "//! Fine.\n/// How it is.\nfn f() {}\n", 2),
        (f"{PLUGIN}/A.scala", "class A {\n  /** Who it is. */\n  def a = 1\n}\n", 2),
        (f"{PLUGIN}/A.java", "/**\n * Where it is.\n */\nclass A {}\n", 2),
        (f"{PYTHON}/a.py", 'def f():\n    """Why it is."""\n', 2),
        ("docs/a.md", f"fine\n{'x' * 121}\n", 2),
    ],
)
def test_a_question_word_or_a_long_line_is_named_by_file_and_line(
    tmp_path: Path, name: str, text: str, line: int
) -> None:
    root = write(tmp_path, {name: text})
    [found] = doc_first_lines.report(root, doc_first_lines.CHECKS)
    assert found.startswith(f"{name}:{line}: ")
