"""Packs libtorch for the CPU into a jar, so that executors need nothing installed.

The jar holds under firesteel/libtorch/linux-x86_64/ every library as an entry of its own and

    index.properties    version=2.13.0
                        libraries=libgomp.so.1,libc10.so,...          in the order to load them
                        <library>.size=<bytes>
                        <library>.sha256=<hex>

which the loader reads to unpack them into one folder and to check them. The libraries are stripped
of symbols that only linking needs. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

FOLDER = "firesteel/libtorch/linux-x86_64"
ROOT = Path(__file__).resolve().parent.parent
# Dependencies first.
LIBRARIES = [
    "libgomp.so.1",
    "libc10.so",
    "libcudart.so.13",
    "libcupti.so.13",
    "libtorch_cpu.so",
]
# A fixed date keeps the jar the same from build to build.
DATE = (2020, 1, 1, 0, 0, 0)
# 9 takes twice as long and saves less than 1 %.
COMPRESSION_LEVEL = 6


def write_entry(jar: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Adds one file to the jar."""
    entry = zipfile.ZipInfo(name, DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    jar.writestr(entry, content, compresslevel=COMPRESSION_LEVEL)


def add_licenses(jar: zipfile.ZipFile, name: str, folder: Path) -> None:
    """Adds the license texts of a library from a folder."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            inside = file.relative_to(folder)
            write_entry(jar, f"META-INF/licenses/{name}/{inside}", file.read_bytes())


def pack(libtorch: Path, stubs: Path, target: Path) -> None:
    """Writes the natives jar from the folders of libtorch and of the CUDA stubs."""
    version = (libtorch / "build-version").read_text().strip()
    index = [f"version={version}", f"libraries={','.join(LIBRARIES)}"]
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".jar.part")
    with tempfile.TemporaryDirectory() as temporary, zipfile.ZipFile(unfinished, "w") as jar:
        write_entry(jar, "META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\r\n\r\n")
        for name in LIBRARIES:
            source = next(f / name for f in (libtorch / "lib", stubs) if (f / name).exists())
            stripped = Path(temporary) / name
            subprocess.run(["strip", "--strip-unneeded", "-o", stripped, source], check=True)
            content = stripped.read_bytes()
            index.append(f"{name}.size={len(content)}")
            index.append(f"{name}.sha256={hashlib.sha256(content).hexdigest()}")
            write_entry(jar, f"{FOLDER}/{name}", content)
        write_entry(jar, f"{FOLDER}/index.properties", ("\n".join(index) + "\n").encode())
        for name in ("LICENSE", "NOTICE"):
            write_entry(jar, f"META-INF/{name}", (ROOT / name).read_bytes())
        own = ROOT / "licenses"
        add_licenses(jar, "libtorch", libtorch / "licenses")
        add_licenses(jar, "libgomp", own / "libgomp")
        add_licenses(jar, "mkl", own / "mkl")
    shutil.move(unfinished, target)
    print(f"    {target}: {target.stat().st_size / 1e6:.0f} MB")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--libtorch", type=Path, required=True)
    parser.add_argument("--stubs", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    pack(arguments.libtorch, arguments.stubs, arguments.output)


if __name__ == "__main__":
    main()
