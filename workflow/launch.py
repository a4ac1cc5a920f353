"""Run a module of the library, found beside this file: `python -P workflow/launch.py egara.corpus --help`.

Rules run it for `python -m egara.corpus`. PYTHONPATH cannot hold a folder with a colon in its name, and `python -m`
looks for modules in the working directory first, where a user's `json.py` may lie.
"""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
