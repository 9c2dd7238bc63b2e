"""An independent backward pass: NumPy, float64, one node per operation, written from the rules.

Nothing here knows of JAX. A product takes its backward weights as an argument, so every rule is
the same few lines with another ``b``.
"""

from collections.abc import Callable, Sequence

import numpy as np


class Node:
    """A value, and what an error at it sends to the nodes it was made from."""

    def __init__(self, value, parents: Sequence["Node"] = (), pull: Callable | None = None):
        self.value = np.asarray(value, np.float64)
        self.parents = parents
        self.pull = pull
        self.grad = np.zeros_like(self.value)


def backward(node: Node, error=0.0) -> None:
    """Fill ``grad`` of every node that ``node`` was made from, for an error at ``node``."""
    order, seen = [], set()

    def visit(n: Node) -> None:
        if id(n) not in seen:
            seen.add(id(n))
            for parent in n.parents:
                visit(parent)
            order.append(n)

    visit(node)
    node.grad = node.grad + np.asarray(error, np.float64)
    for n in reversed(order):
        if n.pull is not None:
            for parent, grad in zip(n.parents, n.pull(n.grad), strict=True):
                parent.grad = parent.grad + grad


def inject(a: Node, error) -> Node:
    """``a``, with an error of its own added to what comes back."""
    return Node(a.value, (a,), lambda dy: (dy + error,))


def product(spec: str, x: Node, w: Node, b, gradient=lambda dw, x, dy: dw) -> Node:
    """``einsum(spec, x, w)``; the error goes back through ``b``, an array like ``w``.

    ``gradient(dw, x, dy)`` is what ``w`` receives.
    """
    inputs, out = spec.split("->")
    x_axes, w_axes = inputs.split(",")

    def pull(dy):
        dx = np.einsum(f"{out},{w_axes}->{x_axes}", dy, np.asarray(b, np.float64))
        dw = np.einsum(f"{x_axes},{out}->{w_axes}", x.value, dy)
        return dx, gradient(dw, x.value, dy)

    return Node(np.einsum(spec, x.value, w.value), (x, w), pull)


def conditioned(dw, x, dy, activity=None, error=None):
    """``dw`` of a mean over examples, divided by the moments of its inputs and of its errors."""
    x, dy = (a.reshape(-1, a.shape[-1]) for a in (x, dy))
    n, changed = len(x), dw
    if activity is not None:
        changed = np.linalg.inv(x.T @ x / n + activity * np.eye(x.shape[1])) @ changed
    if error is not None:
        own = n * dy
        changed = changed @ np.linalg.inv(own.T @ own / n + error * np.eye(dy.shape[1]))
    return changed * np.linalg.norm(dw) / max(np.linalg.norm(changed), 1e-12)


def plain(spec: str, a: Node, b: Node) -> Node:
    """A product of two activities, without weights: the error passes it exactly."""
    return product(spec, a, b, b.value)


def add(a: Node, b: Node) -> Node:
    def pull(dy):
        return _unbroadcast(dy, a.value.shape), _unbroadcast(dy, b.value.shape)

    return Node(a.value + b.value, (a, b), pull)


def multiply(a: Node, b: Node) -> Node:
    def pull(dy):
        return (
            _unbroadcast(dy * b.value, a.value.shape),
            _unbroadcast(dy * a.value, b.value.shape),
        )

    return Node(a.value * b.value, (a, b), pull)


def scale(a: Node, factor: float, shift: float = 0.0) -> Node:
    return Node(a.value * factor + shift, (a,), lambda dy: (dy * factor,))


def tanh(a: Node) -> Node:
    h = np.tanh(a.value)
    return Node(h, (a,), lambda dy: (dy * (1 - h**2),))


def sigmoid(a: Node) -> Node:
    h = 1 / (1 + np.exp(-a.value))
    return Node(h, (a,), lambda dy: (dy * h * (1 - h),))


def softmax(a: Node) -> Node:
    """Over the last axis."""
    h = np.exp(a.value - a.value.max(-1, keepdims=True))
    h /= h.sum(-1, keepdims=True)
    return Node(h, (a,), lambda dy: (h * (dy - (dy * h).sum(-1, keepdims=True)),))


def take(a: Node, index) -> Node:
    """``a[index]``; the error of an entry taken several times is the sum."""

    def pull(dy):
        grad = np.zeros_like(a.value)
        np.add.at(grad, index, dy)
        return (grad,)

    return Node(a.value[index], (a,), pull)


def reshape(a: Node, shape) -> Node:
    return Node(a.value.reshape(shape), (a,), lambda dy: (dy.reshape(a.value.shape),))


def stack(nodes: Sequence[Node], axis: int) -> Node:
    def pull(dy):
        return tuple(np.moveaxis(dy, axis, 0))

    return Node(np.stack([n.value for n in nodes], axis), nodes, pull)


def conv(x: Node, w: Node, b, *, stride=1, pads=(0, 0), dilation=1, spread=1, groups=1) -> Node:
    """A convolution over one axis, ``x`` of shape ``(batch, length, in)``, by gathering patches.

    ``spread`` puts zeros between the entries of ``x`` (a transposed convolution's stride).
    """
    n, length, features = x.value.shape
    taps, _, out = w.value.shape
    wide = (length - 1) * spread + 1
    low, high = pads
    # Index ``length`` is a row of zeros: the padding, and what lies between spread entries.
    padded = np.full(low + wide + high, length)
    padded[low : low + wide : spread] = np.arange(length)
    zero = Node(np.zeros((n, 1, features)))
    x = Node(
        np.concatenate([x.value, zero.value], 1), (x, zero), lambda dy: (dy[:, :-1], dy[:, -1:])
    )
    positions = range(0, len(padded) - (taps - 1) * dilation, stride)
    index = np.array([[padded[p + k * dilation] for k in range(taps)] for p in positions])
    patches = take(x, (slice(None), index))
    patches = reshape(patches, (n, len(positions), taps, groups, features // groups))
    shape = (taps, features // groups, groups, out // groups)
    kernel = reshape(w, shape)
    y = product("npkgi,kigo->npgo", patches, kernel, np.asarray(b).reshape(shape))
    return reshape(y, (n, len(positions), out))


def _unbroadcast(grad, shape):
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    over = tuple(i for i, n in enumerate(shape) if n == 1)
    return grad.sum(axis=over, keepdims=True).reshape(shape)
