"""The harness that runs the papers: one folder per stage, whose imports go down only."""
