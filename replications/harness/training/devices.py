"""On which device a process computes, where a machine has several: the first that no other process holds.

Cells that run beside each other spread over the devices so, whoever starts them.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax

from replications.harness.files import locked


@contextmanager
def on_a_free_device() -> Iterator[Any]:
    """Compute on a device that nobody holds; where all are held, on the one of the process's number."""
    devices = jax.local_devices()
    with ExitStack() as stack:
        chosen = os.getpid() % len(devices)
        if len(devices) > 1:
            folder = Path(tempfile.gettempdir()) / f"bioflax-devices-{os.getuid()}"
            held = (locked(folder / f"device-{i}", wait=False) for i in range(len(devices)))
            chosen = next((i for i, one in enumerate(held) if stack.enter_context(one)), chosen)
            stack.enter_context(jax.default_device(devices[chosen]))
        yield devices[chosen]
