"""From numbers to verdicts, and the accepted numbers that a change is held against."""
