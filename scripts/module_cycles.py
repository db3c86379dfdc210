#!/usr/bin/env python3
"""Fails if modules import each other in a cycle.

Usage: module_cycles.py [rust] [scala] [python] (all of them without an argument)

- rust: the modules of each crate in native/, by `use` and by paths that begin with `crate` or
  `super`; tests do not count.
- scala: the packages of spark-plugin/src/main, Scala and Java.
- python: the modules of spark-plugin/python/firesteel; imports for type checkers do not count.

The top-level modules of a crate or package must form no cycle, nor may the children of any module
among themselves. A module and its own children may import each other. An item that a module
re-exports belongs to the module that defines it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from source_check import run

Module = tuple[str, ...]


@dataclass(frozen=True)
class Use:
    """An import: the importing module, the path that it names, and its place in the source."""

    module: Module
    path: Module
    place: str


@dataclass
class Tree:
    """The modules of a crate or package with their imports.

    `names` holds what each module imports under which name, to follow re-exports.
    """

    name: str
    modules: set[Module] = field(default_factory=set)
    uses: list[Use] = field(default_factory=list)
    names: dict[tuple[Module, str], Module] = field(default_factory=dict)

    def resolve(self, path: Module, depth: int = 0) -> Module:
        """Returns the module that defines the item at a path."""
        module: Module = ()
        for position, name in enumerate(path):
            if (*module, name) in self.modules:
                module = (*module, name)
                continue
            target = self.names.get((module, name))
            if target is not None and depth < 8:
                return self.resolve((*target, *path[position + 1 :]), depth + 1)
            break
        return module


def cycles(tree: Tree) -> Iterator[list[tuple[str, str, str]]]:
    """Yields cycles among siblings, each as edges (module, imported module, place)."""
    edges: dict[Module, dict[Module, dict[Module, str]]] = {}
    for use in tree.uses:
        source, target = use.module, tree.resolve(use.path)
        shared = 0
        while shared < min(len(source), len(target)) and source[shared] == target[shared]:
            shared += 1
        if shared == len(source) or shared == len(target):
            continue  # a module and its own child
        siblings = edges.setdefault(source[:shared], {})
        siblings.setdefault(source[: shared + 1], {}).setdefault(target[: shared + 1], use.place)
    for parent in sorted(edges):
        graph = edges[parent]
        done: set[Module] = set()
        for start in sorted(graph):
            cycle = None if start in done else shortest_cycle(graph, start)
            if cycle:
                done.update(cycle)
                steps = zip(cycle, [*cycle[1:], cycle[0]], strict=True)
                yield [("::".join(a), "::".join(b), graph[a][b]) for a, b in steps]


def shortest_cycle(graph: dict[Module, dict[Module, str]], start: Module) -> list[Module] | None:
    """Returns the modules of a shortest cycle through `start`, in order."""
    before: dict[Module, Module] = {}
    queue = deque([start])
    while queue:
        module = queue.popleft()
        for target in sorted(graph.get(module, {})):
            if target == start:
                cycle = [module]
                while cycle[-1] != start:
                    cycle.append(before[cycle[-1]])
                return cycle[::-1]
            if target not in before:
                before[target] = module
                queue.append(target)
    return None


RUST_TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|\bb?r(\#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?'(?:\\.[^']*|[^'\\\n])'""",
    re.DOTALL,
)
RUST_USE = re.compile(r"\b(?:pub(?:\([^)]*\))?\s+)?use\s+([^;]+);")
RUST_PATH = re.compile(r"\b(?:crate|super)(?:\s*::\s*\w+)+")


def rust_trees(root: Path) -> Iterator[Tree]:
    """Yields the modules of each crate."""
    for library in sorted(root.glob("native/*/src/lib.rs")):
        source = library.parent
        tree = Tree(str(source.relative_to(root)), {()})
        pending: list[tuple[Module, Path]] = [((), library)]
        while pending:
            module, file = pending.pop()
            text = without_tests(blank(RUST_TOKEN, file.read_text()))
            folder = source.joinpath(*module)
            for child in re.findall(r"\bmod\s+(\w+)\s*;", text):
                for candidate in (folder / f"{child}.rs", folder / child / "mod.rs"):
                    if candidate.exists():
                        tree.modules.add((*module, child))
                        pending.append(((*module, child), candidate))
            read_rust(tree, module, text, file.relative_to(root))
        yield tree


def read_rust(tree: Tree, module: Module, text: str, file: Path) -> None:
    """Adds the imports of one file."""
    for found in RUST_USE.finditer(text):
        for path, name in expand(re.sub(r"\s+", " ", found[1])):
            full = absolute(module, path)
            if full is None and (*module, path[0]) in tree.modules:
                full = (*module, *path)
            if full is not None:
                tree.names[(module, name)] = full
                tree.uses.append(Use(module, full, place(file, text, found.start())))
    rest = blank(RUST_USE, text)
    for found in RUST_PATH.finditer(rest):
        full = absolute(module, tuple(re.split(r"\s*::\s*", found[0])))
        if full is not None:
            tree.uses.append(Use(module, full, place(file, text, found.start())))


def expand(text: str) -> Iterator[tuple[Module, str]]:
    """Yields the paths of a `use` tree, each with the name that it binds."""
    text = text.strip()
    brace = text.find("{")
    if brace < 0:
        path, _, alias = text.partition(" as ")
        parts = tuple(part.strip() for part in path.split("::") if part.strip())
        if len(parts) > 1 and parts[-1] == "self":
            parts = parts[:-1]
        if parts:
            yield parts, alias.strip() or parts[-1]
        return
    prefix = tuple(part.strip() for part in text[:brace].split("::") if part.strip())
    depth, start = 0, brace + 1
    for position in range(brace, len(text)):
        character = text[position]
        depth += (character == "{") - (character == "}")
        if (character == "," and depth == 1) or (character == "}" and depth == 0):
            for path, name in expand(text[start:position]):
                parts = (*prefix, *(() if path == ("self",) else path))
                yield parts, prefix[-1] if name == "self" and prefix else name
            start = position + 1


def absolute(module: Module, path: Module) -> Module | None:
    """Returns a path from the crate's root; `None` for a path of another crate."""
    if path[0] == "crate":
        return path[1:]
    if path[0] == "self":
        return (*module, *path[1:])
    levels = 0
    while levels < len(path) and path[levels] == "super":
        levels += 1
    if levels == 0 or levels > len(module):
        return None
    return (*module[: len(module) - levels], *path[levels:])


def without_tests(text: str) -> str:
    """Returns Rust code with the items that are compiled for tests only left blank."""
    for found in list(re.finditer(r"#\[cfg\(test\)\]", text)):
        depth, position = 0, found.end()
        while position < len(text):
            character = text[position]
            depth += (character in "{[(") - (character in "}])")
            position += 1
            if depth == 0 and character in ";}":
                break
        text = text[: found.start()] + hidden(text[found.start() : position]) + text[position:]
    return text


SCALA_TOKEN = re.compile(r'''//[^\n]*|/\*.*?\*/|""".*?"""+|"(?:\\.|[^"\\\n])*"''', re.DOTALL)
SCALA_PATH = re.compile(r"\b(?:_root_\.)?((?:\w+\.)*firesteel(?:\.\w+)*)(?:\.\{([^}]*)\})?")


def scala_trees(root: Path) -> Iterator[Tree]:
    """Yields the packages of the plugin."""
    tree = Tree("spark-plugin/src/main", {()})
    files: list[tuple[Module, str, Path]] = []
    sources = root / "spark-plugin/src/main"
    for file in sorted([*sources.rglob("*.scala"), *sources.rglob("*.java")]):
        text = blank(SCALA_TOKEN, file.read_text())
        declared = re.findall(r"^\s*package\s+(?!object\b)([\w.]+)", text, re.MULTILINE)
        package = scala_path(".".join(declared))
        tree.modules.update(package[: length + 1] for length in range(len(package)))
        files.append((package, text, file.relative_to(root)))
    for package, text, file in files:
        code = re.sub(r"(?m)^\s*package\b.*$", hidden_match, text)
        for found in SCALA_PATH.finditer(code):
            prefix = scala_path(found[1])
            for name in re.findall(r"\w+", found[2] or "") or [None]:
                path = (*prefix, name) if name else prefix
                tree.uses.append(Use(package, path, place(file, text, found.start(1))))
    yield tree


def scala_path(path: str) -> Module:
    """Returns a path within `firesteel`; a package below Spark's own is one module."""
    before, _, after = path.partition("firesteel")
    inside = tuple(after.strip(".").split(".")) if after else ()
    return (f"{before}firesteel", *inside) if before else inside


def python_trees(root: Path) -> Iterator[Tree]:
    """Yields the modules of the Python package."""
    package = root / "spark-plugin/python/firesteel"
    tree = Tree(str(package.relative_to(root)), {()})
    files: list[tuple[Module, bool, Path]] = []
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        module = parts[:-1] if is_package else parts
        tree.modules.add(module)
        files.append((module, is_package, file))
    for module, is_package, file in files:
        for line, path, name in python_imports(file, module, is_package):
            code = file.read_text().splitlines()[line - 1].strip()
            shown = f"{file.relative_to(root)}:{line}: {code}"
            tree.uses.append(Use(module, path, shown))
            if name and is_package:
                tree.names[(module, name)] = path
    yield tree


def python_imports(
    file: Path, module: Module, is_package: bool
) -> Iterator[tuple[int, Module, str | None]]:
    """Yields the imports of the package in a file: line, path and the name that is bound."""
    pending: list[ast.AST] = [ast.parse(file.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
            continue
        pending.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = tuple(alias.name.split("."))
                if parts[0] == "firesteel":
                    yield node.lineno, parts[1:], None
        elif isinstance(node, ast.ImportFrom):
            parts = tuple(node.module.split(".")) if node.module else ()
            if node.level:
                up = node.level - 1 if is_package else node.level
                base: Module = (*module[: len(module) - up], *parts)
            elif parts[:1] == ("firesteel",):
                base = parts[1:]
            else:
                continue
            for alias in node.names:
                path = base if alias.name == "*" else (*base, alias.name)
                yield node.lineno, path, alias.asname or alias.name


def hidden(text: str) -> str:
    """Returns a text of the same lines and length without anything in it."""
    return re.sub(r"[^\n]", " ", text)


def hidden_match(found: re.Match[str]) -> str:
    """Returns a match left blank."""
    return hidden(found[0])


def blank(pattern: re.Pattern[str], text: str) -> str:
    """Returns a text with everything that matches left blank."""
    return pattern.sub(hidden_match, text)


def place(file: Path, text: str, position: int) -> str:
    """Returns file, line number and line of a position."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = re.sub(r"\s+", " ", text[start : end if end >= 0 else len(text)]).strip()
    return f"{file}:{text.count(chr(10), 0, position) + 1}: {line}"


AREAS = {"rust": rust_trees, "scala": scala_trees, "python": python_trees}


def report(root: Path, areas: Iterable[str]) -> list[str]:
    """Returns a paragraph for each cycle of the areas."""
    found = []
    for area in areas:
        for tree in AREAS[area](root):
            for cycle in cycles(tree):
                names = " -> ".join([*(source for source, _, _ in cycle), cycle[0][0]])
                lines = [f"{tree.name}: {names}"]
                lines += [
                    f"  {source} imports {target}: {where}" for source, target, where in cycle
                ]
                found.append("\n".join(lines))
    return found


if __name__ == "__main__":
    sys.exit(run(AREAS, report, "move what the modules of a cycle need into a module below them"))
