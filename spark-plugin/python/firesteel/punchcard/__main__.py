"""The command line, for ``python -m firesteel.punchcard``."""

from firesteel.punchcard.cli import run

if __name__ == "__main__":
    run()
