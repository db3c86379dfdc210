"""The program that spark-submit starts for jobs of kind trainer and estimator.

The environment variable ``FIRESTEEL_PUNCHCARD_REQUEST`` names the file with the job's request,
``FIRESTEEL_PUNCHCARD_RESULTS`` the folder for its artefacts.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python searches modules in a program's folder, but this one is a part of a package.
    folder = Path(__file__).resolve().parent
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != folder]
    sys.path.insert(0, str(folder.parents[1]))
    from firesteel.punchcard.training_job import main

    sys.exit(main())
