"""Hooks of mkdocs: pages from outside docs/, and their links."""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import normpath
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
URL = re.search(r"^PROJECT_URL=(.*)$", (ROOT / "scripts/versions.sh").read_text(), re.M)
SOURCE = f"{URL[1] if URL else ''}/blob/main"

PAGES = {
    "README.md": "index.md",
    "examples/README.md": "examples/index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files of the repository, and their pages on the site."""

# The pages of Scala and Rust exist only on the finished site. mkdocs does not check links in HTML.
PYTHON_API = """# Python API

The APIs of <a href="../../api/scala/index.html">Scala</a> and
<a href="../../api/rust/firesteel_core/index.html">Rust</a> have their own pages.

"""
MODULES = {
    "Sessions": ["firesteel.spark"],
    "Networks": ["firesteel.network", "firesteel.torchscript", "firesteel.layers"],
    "Estimators and models": [
        "firesteel.classification",
        "firesteel.regression",
        "firesteel.estimator",
    ],
    "Training summary": ["firesteel.summary", "firesteel.fit_warnings"],
    "Saved models": ["firesteel.persistence"],
    "PyTorch and ONNX": ["firesteel.torch_import", "firesteel.exports"],
    "Keras": ["firesteel.keras.convert"],
    "Jobs": [
        "firesteel.punchcard.job",
        "firesteel.punchcard.client",
        "firesteel.punchcard.work",
        "firesteel.punchcard.fetched",
        "firesteel.punchcard.values",
        "firesteel.punchcard.errors",
    ],
}
"""The modules of the Python API page, by section."""

REFERENCE = "reference/python.md"
ROLE = re.compile(r":(?:py:)?(?:attr|class|func|meth|mod):(?=<code>)")
LINK = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages and pictures that are not in docs/."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    for picture in sorted((ROOT / "examples/pictures").iterdir()):
        name = f"examples/pictures/{picture.name}"
        files.append(File.generated(config, name, abs_src_path=str(picture)))
    files.append(File.generated(config, REFERENCE, content=PYTHON_API + _python_api()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Redirects links between files of the repository to pages, or to the source repository."""
    del config, files  # parts of the hook's signature
    by_page = {target: source for source, target in PAGES.items()}
    name = page.file.src_uri
    source = by_page.get(name, f"docs/{name}")
    if name == REFERENCE:
        return markdown
    up = "../" * name.count("/")

    def redirect(match: re.Match[str]) -> str:
        target = normpath(f"{source.rpartition('/')[0] or '.'}/{match[2]}")
        if target in PAGES:
            place = up + PAGES[target]
        elif target.startswith(("docs/", "examples/pictures/")):
            place = up + target.removeprefix("docs/")
        else:
            place = f"{SOURCE}/{target}"
        return f"{match[1]}{place}{match[3]}"

    return LINK.sub(redirect, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Removes the roles of reStructuredText, which Markdown does not have, from docstrings."""
    del page, config, files  # parts of the hook's signature
    return ROLE.sub("", html)


def _python_api() -> str:
    parts = []
    for section, modules in MODULES.items():
        parts.append(f"## {section}\n")
        parts += [f"::: {module}\n" for module in modules]
    return "\n".join(parts)
