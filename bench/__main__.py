"""`python -m bench`: measures transfers, prints the figures, and keeps those of a whole run."""

import argparse
import signal
import sys
from pathlib import Path

from bench.report import markdown
from bench.transfers import SCENARIOS, Run, execute

RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> None:
    """Run what the command line asks for; figures are reported, never judged by exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="measured seconds a scenario")
    parser.add_argument("--wallets", type=int, default=10_000)
    parser.add_argument(
        "--only",
        action="append",
        choices=SCENARIOS,
        help="measure this alone (may be repeated); such a run is printed but not kept",
    )
    arguments = parser.parse_args()
    run = Run(arguments.seconds, arguments.wallets, arguments.only or SCENARIOS)
    # As an exception, so that every server and folder is cleaned up on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    execute(run)
    section = markdown(run)
    sys.stdout.write(section)
    if not arguments.only:
        with RESULTS.open("a") as results:
            results.write(f"\n{section}")


if __name__ == "__main__":
    main()
