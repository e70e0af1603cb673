"""The house: who may import whom."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_imports_go_downwards_only() -> None:
    linter = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout
