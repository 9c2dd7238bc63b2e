"""The peers' side of `peers.py`, run by the Python of an environment of their own.

Reads lines ``net rule kind updates``, trains that, and answers with the seconds that it took.
"""

import sys
import time
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

BATCH, EXAMPLES = 64, 4096


class LinearFeedback(torch.autograd.Function):
    """``y = x W'``, whose error goes back through ``B``: feedback alignment as one writes it by hand."""

    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, b)
        return x @ w.t()

    @staticmethod
    def backward(ctx, dy):
        x, b = ctx.saved_tensors
        return dy @ b if ctx.needs_input_grad[0] else None, dy.t() @ x, None


class ConvFeedback(torch.autograd.Function):
    """A convolution, whose error goes back through ``B``."""

    @staticmethod
    def forward(ctx, x, w, b, padding):
        ctx.save_for_backward(x, w, b)
        ctx.padding = padding
        return functional.conv2d(x, w, padding=padding)

    @staticmethod
    def backward(ctx, dy):
        x, w, b = ctx.saved_tensors
        first = ctx.needs_input_grad[0]
        dx = nn.grad.conv2d_input(x.shape, b, dy, padding=ctx.padding) if first else None
        return dx, nn.grad.conv2d_weight(x, w.shape, dy, padding=ctx.padding), None, None


class Linear(nn.Linear):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.register_buffer("feedback", torch.randn_like(self.weight) / sizes[0] ** 0.5)

    def forward(self, x):
        return LinearFeedback.apply(x, self.weight, self.feedback) + self.bias


class Conv(nn.Conv2d):
    def __init__(self, *sizes, padding):
        super().__init__(*sizes, padding=padding)
        self.register_buffer("feedback", torch.randn_like(self.weight) * 0.05)

    def forward(self, x):
        y = ConvFeedback.apply(x, self.weight, self.feedback, self.padding)
        return y + self.bias[:, None, None]


def net(name, linear, conv):
    if name == "conv":
        parts, width = [], 3
        for maps in (96, 128, 256):
            parts += [conv(width, maps, 5, padding=2), nn.Tanh(), nn.MaxPool2d(3, 2)]
            width = maps
        widths = [256 * 3 * 3, 2048, 2048, 10]
        parts.append(nn.Flatten())
    else:
        hidden, units = map(int, name.split("x"))
        parts, widths = [], [784, *hidden * [units], 10]
    for n, m in pairwise(widths):
        parts += [linear(n, m), nn.Tanh()]
    return nn.Sequential(*parts[:-1])


def trained(name, rule, kind):
    """``f(updates)``, which trains."""
    torch.manual_seed(0)
    by_hand = rule == "feedback_alignment" and kind != "biotorch"
    model = net(name, Linear if by_hand else nn.Linear, Conv if by_hand else nn.Conv2d)
    if kind == "biotorch":
        from biotorch.module.biomodule import BioModule

        model = BioModule(model, mode="fa" if rule == "feedback_alignment" else rule)
    shape = (3, 32, 32) if name == "conv" else (784,)
    inputs, labels = torch.randn(EXAMPLES, *shape), torch.randint(10, (EXAMPLES,))
    rule = torch.optim.RMSprop(model.parameters(), lr=1e-4)
    order = torch.randperm(EXAMPLES)

    def loss(x, y):
        return functional.cross_entropy(model(x), y)

    loss = torch.compile(loss) if kind == "compile" else loss

    def run(updates):
        for i in range(updates):
            chosen = order[i * BATCH % EXAMPLES :][:BATCH]
            rule.zero_grad()
            loss(inputs[chosen], labels[chosen]).backward()
            rule.step()

    return run


def main():
    torch.set_num_threads(1)
    made = {}
    for line in sys.stdin:
        *which, updates = line.split()
        which = tuple(which)
        if which not in made:
            made[which] = trained(*which)
        began = time.perf_counter()
        made[which](int(updates))
        print("seconds", time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
