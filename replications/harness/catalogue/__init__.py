"""What the suite knows by name: learning rules, measures, starts and data sets, a row each.

Nothing here imports jax, so that the workflow can plan in an instant.
"""
