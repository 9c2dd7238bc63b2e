"""The command line of the harness: one verb per step, each usable without Snakemake."""

import sys

from replications.harness.command_line import main

if __name__ == "__main__":
    sys.exit(main())
