"""From YAML to checked objects. Nothing here imports jax or pandas."""
