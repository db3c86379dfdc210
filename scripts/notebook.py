"""Runs a notebook and stores its outputs: `notebook.py NOTEBOOK RESULT`.

Warnings and logs are left out. The result's metadata has a hash of the code that ran, so that a
test can tell whether a kept notebook shows what its cells do.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import nbclient
import nbformat

CELL_SECONDS = 600


def code_hash(notebook: nbformat.NotebookNode) -> str:
    """SHA-256 of the sources of the code cells, in their order."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def main() -> int:
    """Runs the notebook in the folder of its result."""
    source, result = (Path(argument) for argument in sys.argv[1:3])
    notebook = nbformat.read(source, as_version=4)
    # What else the run would put there, such as versions and times of the day, differs each time.
    metadata = {**notebook.metadata, "firesteel": {"code": code_hash(notebook)}}
    nbclient.NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        record_timing=False,
        resources={"metadata": {"path": result.parent}},
    ).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [shown for shown in cell.outputs if shown.get("name") != "stderr"]
    notebook.metadata = nbformat.from_dict(metadata)
    nbformat.write(notebook, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
