"""`python -m tests.bench [name] [--scale small|full] [--profile]`: run one benchmark, or all."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.bench.benchmarks import BENCHMARKS
from tests.bench.processes import LOAD_CORE, SUBJECT_CORE, UPSTREAM_CORE, allow_many_files
from tests.bench.profiled import told
from tests.bench.stage import Stage
from tests.bench.subjects import upstream
from tests.bench.table import Table


def main() -> int:
    """Run what was asked for; 0 when every run was valid and every target reached, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=list(BENCHMARKS), help="one benchmark; all without it")
    parser.add_argument("--scale", choices=("small", "full"), default="small")
    parser.add_argument("--profile", action="store_true", help="say where the product's time goes instead")
    asked = parser.parse_args()
    allow_many_files()
    names = [asked.name] if asked.name else list(BENCHMARKS)
    print(
        f"web processes on core {SUBJECT_CORE}, load generator on {LOAD_CORE}, upstream on {UPSTREAM_CORE}\n"
    )
    met = [run(name, is_full=asked.scale == "full", is_profiled=asked.profile) for name in names]
    return 0 if all(met) else 1


def run(name: str, *, is_full: bool, is_profiled: bool) -> bool:
    """Run one benchmark in a directory of its own and print its table; True when it is met."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place, upstream() as service:
        profile = Path(place, "profile") if is_profiled else None
        stage = Stage(is_full, Path(place), service, Table(), profile)
        try:
            BENCHMARKS[name](stage)
        except Exception:
            for log in Path(place).glob("*.log"):
                print(f"{log.name}:", log.read_text()[-2000:], sep="\n", file=sys.stderr)
            raise
        if profile is not None and profile.exists():
            stage.table.invalid.append("measured under a profiler")
        print(stage.table, end="\n\n", flush=True)
        if profile is not None and profile.exists():
            print(told(profile), end="\n\n", flush=True)
        return stage.table.is_met


if __name__ == "__main__":
    sys.exit(main())
