"""How long JAX has traced and compiled in this process: the part of a run's time that is not training."""

import time
from collections.abc import Callable
from typing import Any

import jax

_KINDS = ("jaxpr_trace_duration", "jaxpr_to_mlir_module_duration", "backend_compile_duration")


class Compiling:
    """Adds up what JAX tells of its durations. A function that is traced within another counts once."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._spans: list[tuple[float, float]] = []

    def __call__(self, event: str, duration_secs: float, **_: Any) -> None:
        """A duration that ends now, as `jax.monitoring` tells it to its listeners."""
        if not event.endswith(_KINDS):
            return
        end = self._clock()
        begin = end - duration_secs
        while self._spans and self._spans[-1][0] >= begin:
            self._spans.pop()
        self._spans.append((begin, end))

    @property
    def seconds(self) -> float:
        """All until now."""
        return sum(end - begin for begin, end in self._spans)


COMPILING = Compiling()
jax.monitoring.register_event_duration_secs_listener(COMPILING)
