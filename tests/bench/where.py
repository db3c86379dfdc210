"""Paths of the repository."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
JARS = [BUILD / "firesteel.jar", BUILD / "firesteel-e2e.jar"]
TRAIN = ROOT / "examples" / "data" / "mnist-train.parquet"
TEST = ROOT / "examples" / "data" / "mnist-test.parquet"
