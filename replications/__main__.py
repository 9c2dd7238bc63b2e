"""The command line of the harness: one verb per step, each usable without Snakemake."""

import io
import sys

from replications.harness.command_line import main

if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A locale that has no ø ends no command.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main())
