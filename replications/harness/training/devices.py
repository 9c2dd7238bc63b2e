"""On which device a process computes, where a machine has several: the first that no other process holds.

Cells that run beside each other spread over the devices so, whoever starts them. A device is held by a lock of
the system's, which goes with the process, however that ends.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax


@contextmanager
def on_a_free_device() -> Iterator[Any]:
    """Compute on a device that nobody holds; where all are held, on the one of the process's number."""
    devices = jax.local_devices()
    with ExitStack() as stack:
        chosen = os.getpid() % len(devices)
        if len(devices) > 1:
            folder = Path(tempfile.gettempdir()) / f"bioflax-devices-{os.getuid()}"
            folder.mkdir(exist_ok=True)
            for i in range(len(devices)):
                handle = os.open(folder / str(i), os.O_RDWR | os.O_CREAT)
                stack.callback(os.close, handle)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                chosen = i
                break
            stack.enter_context(jax.default_device(devices[chosen]))
        yield devices[chosen]
