"""The papers (one folder each) and the harness that runs them: see ``python -m replications --help``."""
