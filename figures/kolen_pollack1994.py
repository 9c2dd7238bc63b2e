"""The pictures of Kolen and Pollack 1994: its law, and the nets of Akrout et al. 2019."""

from functools import partial
from typing import TYPE_CHECKING, Any

from figures import Figure, PublishedValues, Tables, style
from figures.style import Look

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing
    from pandas import DataFrame

BACKPROP = Look("backprop", "backprop")
FEEDBACK = Look("feedback_alignment", "feedback alignment")
KOLEN_POLLACK = Look("kolen_pollack", "Kolen-Pollack", published=False)
PERIOD = (BACKPROP, FEEDBACK, KOLEN_POLLACK)
ALIGNED = (
    FEEDBACK,
    KOLEN_POLLACK,
    Look("kolen_pollack_no_decay", "Kolen-Pollack without decay", "--", half=True),
    Look("weight_mirror", "weight mirror"),
)
AKROUT = (
    BACKPROP,
    Look("backprop_decay", "backprop with the decay", ":", published=False),
    *ALIGNED,
)
# Backprop and the weight mirror, each at its own rate of the logs and at the other's.
RATES = (
    BACKPROP._replace(label="backprop, rate 0.2"),
    Look("backprop_0.05", "backprop, 0.05", "--", published=False),
    Look("weight_mirror_0.2", "weight mirror, 0.2", "--", published=False),
    Look("weight_mirror", "weight mirror, 0.05"),
)
# Arms of the law: how they update, and the decay of the line on which they should lie.
LAW = {
    "sgd_0.01": "SGD, logistic units",
    "momentum_0.003": "SGD with momentum, relu",
    "sgd_0.001": "SGD, tanh, 3 layers",
    "adam_0.0003": "Adam, logistic",
}
BROKEN = {
    "no_decay": "no decay",
    "unequal_decay": "0.001 on W, 0.002 on B",
    "adam_l2": "L2 under Adam",
    "rmsprop_l2": "L2 under RMSprop",
}
LAYERS = {"hidden_1": "o", "hidden_2": "s", "readout": "^"}
ANGLES = {
    "delta_angle/hidden_1": "hidden error signals",
    "weight_angle/readout": "W and B, readout",
    "weight_angle/hidden_1": "W and B, input layer",
}
PASSES = 400  # in the published runs


def law(tables: Tables, published: PublishedValues) -> "Drawing":
    """|W - B| as a fraction of its start, on the line (1 - decay)^t and off it."""
    del published  # the paper's own numbers are not known
    table = tables["law"]
    figure, (kept, broken) = style.panels(2, style.PAGE, 3.0)
    drawn = []
    for (arm, label), colour in zip(LAW.items(), style.shades("kolen_pollack", 4), strict=True):
        decay = float(arm.rsplit("_", 1)[1])
        for layer, marker in LAYERS.items():
            if layer == "hidden_2" and layer not in set(table[table.arm == arm].layer):
                continue
            runs = _relative(table, arm, layer)
            drawn.append(runs)
            # Layers side by side: they lie on one line.
            shown = runs.iloc[list(LAYERS).index(layer) :: 3]
            kept.plot(shown.index / 1e3, shown, marker, color=colour, markerfacecolor="none")
        x = runs.index.to_numpy()
        kept.plot(
            x / 1e3, (1 - decay) ** x, color=colour, label=f"{label}, decay {decay:g}", zorder=1
        )
    for decay, text in ((1e-3, "law, 0.001"), (1e-4, "law, 0.0001")):
        broken.plot(x / 1e3, (1 - decay) ** x, "--", color=style.FAINT, label=text)
    for (arm, label), kind in zip(BROKEN.items(), ("o-", "s-", "^--", "v:"), strict=True):
        runs = _relative(table, arm, "readout")
        drawn.append(runs)
        mean = style.band(runs, "sd").centre
        broken.plot(mean.index / 1e3, mean, kind, color=style.FAILED, label=label, markersize=3)
    for axes, low, columns in ((kept, -10, 1), (broken, -5, 2)):
        axes.set_yscale("log")
        # Above the start there is room for the legend.
        axes.set_ylim(10.0**low, 10 ** (-low / 2))
        axes.set_yticks([10.0**power for power in range(low, 1, -low // 5)])
        axes.minorticks_off()
        axes.set_xlabel("updates (10³)")
        axes.legend(loc="upper right", ncols=columns, columnspacing=1)
    kept.set_ylabel("|W - B| over its start")
    style.footer(
        figure,
        style.seeds(*drawn),
        "a: every seed, line: the law; circles hidden layer 1, squares 2, triangles readout",
        "b: readout, mean",
    )
    return figure


def _relative(table: "DataFrame", arm: str, layer: str) -> "DataFrame":
    runs = style.runs(table, arm, "gap", layer)
    return runs / runs.iloc[0]


def period(tables: Tables, published: PublishedValues) -> "Drawing":
    """XOR and two encoders: how many of the runs have every pattern right."""
    del published  # these tasks are ours
    figure, panels = style.panels(3, style.PAGE, 2.5, sharey=True)
    drawn = []
    names = ("xor", "encoder_4_2_4", "encoder_8_3_8")
    titles = ("XOR, 2-2-1", "4-2-4 encoder", "8-3-8 encoder")
    for axes, name, title, letter in zip(panels, names, titles, "abc", strict=True):
        for look in PERIOD:
            runs = style.runs(tables[name], look.arm, "test_error", x="epoch")
            drawn.append(runs)
            solved = style.solved(runs)
            median = solved.median_time
            time = f"{median:g} epochs" if median < float("inf") else "median never"
            label = f"{look.label}: {solved.at_the_end}, {time}"
            share = 100 * solved.share
            axes.plot(share.index, share, color=look.colour, label=label, drawstyle="steps-post")
        axes.set_title(f"{letter}  {title}", fontweight="bold")
        axes.set_xscale("log")
        axes.set_xlabel("epochs")
        axes.set_ylim(0, 175)
        axes.set_yticks(range(0, 101, 25))
        axes.legend(loc="upper left", fontsize=6, handlelength=1.2, borderaxespad=0)
    panels[0].set_ylabel("runs with every pattern right (%)")
    style.footer(
        figure,
        style.seeds(*drawn),
        "legends: runs solved at the end, median time over all runs",
    )
    return figure


def akrout(experiment: str, per_pass: int, tables: Tables, published: PublishedValues) -> "Drawing":
    """The test error and three angles of a net of Akrout et al., over training."""
    table = tables[experiment]
    figure, (error, *panels) = style.panels(4, style.PAGE, 2.9)
    drawn, sources = [], []
    for look in AKROUT:
        drawn.append(100 * style.runs(table, look.arm, "test_error"))
        style.trace(error, drawn[-1], look, "sd")
    for axes, name in zip(panels, ANGLES, strict=True):
        measure, layer = name.split("/")
        for look in ALIGNED:
            style.trace(axes, style.runs(table, look.arm, measure, layer), look, "sd")
    looks = {look.arm: look for look in AKROUT}
    for (where, arm, measure), value in published.items():
        if where == experiment:
            name, _, after = measure.partition("@")
            axes = {"test_error": error, **dict(zip(ANGLES, panels, strict=True))}[name]
            step = float(after or PASSES * per_pass)
            style.published(axes, looks[arm], value.number, x=step)
            sources.append(value)
    style.error_axis(error, "test", (1, 2, 5, 10, 20, 50, 100))
    if experiment != "mnist":
        error.set_ylim(40, 100)
    for axes, title, letter in zip(panels, ANGLES.values(), "bcd", strict=True):
        style.right_angle(axes)
        axes.set_title(f"{letter}  {title}", fontsize=7, fontweight="bold")
    panels[0].set_ylabel("angle (°)")
    for axes in (error, *panels):
        axes.set_xscale("log")
        axes.set_xlim(9, 1.3 * PASSES * per_pass)
        axes.set_xticks([10, 1e3, 1e5])
        axes.minorticks_off()
        axes.set_xlabel("updates")
    style.legend(figure, AKROUT, columns=3)
    style.footer(figure, style.seeds(*drawn), "mean ± 1 SD", style.sources(sources))
    return figure


def synchronisation(tables: Tables, published: PublishedValues) -> "Drawing":
    """Accuracy against the angle between W and B, along training: which comes first."""
    del published  # the abstract gives no number
    table = tables["mnist"]
    figure, (axes,) = style.panels(1, style.COLUMN, 3.2)
    drawn = []
    for look in ALIGNED:
        accuracy = 1 - style.runs(table, look.arm, "test_error")
        drawn.append(accuracy)
        share = style.band(100 * accuracy / accuracy.iloc[-1], "sd").centre
        angle = style.band(style.runs(table, look.arm, "weight_angle", "readout"), "sd").centre
        axes.plot(angle, share, look.line, color=look.colour, label=look.label)
        # A ring, which shows around another's dot at the same place.
        end: dict[str, Any] = {"markerfacecolor": "none", "markersize": 7} if look.half else {}
        axes.plot(angle.iloc[-1:], share.iloc[-1:], "o", color=look.colour, clip_on=False, **end)
    axes.axhline(90, color=style.FAINT, linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
    axes.axvline(5, color=style.FAINT, linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
    axes.set_xlim(100, 0)
    axes.set_xticks([90, 75, 60, 45, 30, 15, 5])
    axes.set_ylim(0, 108)
    axes.set_xlabel("angle between W and B at the readout (°)")
    axes.set_ylabel("accuracy (% of the final one)")
    figure.legend(loc="outside upper left", ncols=2)
    style.footer(figure, style.seeds(*drawn), "means", "dots and ring: the end", "dashed: 90 %, 5°")
    return figure


def mirror_rates(tables: Tables, published: PublishedValues) -> "Drawing":
    """Test and training error of backprop and the weight mirror at both learning rates of the logs."""
    import pandas as pd

    table = pd.concat([tables["mnist"], tables["mnist_mirror_rates"]])
    figure, panels, drawn = style.learning_curves(table, RATES)
    logged = [look for look in RATES if look.published]
    said = [published["mnist", look.arm, "test_error"] for look in logged]
    for stand, (look, value) in enumerate(zip(logged, said, strict=True)):
        style.published(panels[0], look, value.number, stand=stand)
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
        axes.minorticks_off()
    style.footer(figure, style.seeds(*drawn), "mean ± 1 SD", style.sources(said))
    return figure


AKROUT_CAPTION = (
    "a, Test error. b, Angle between the hidden error signals of a rule and those of backprop at the "
    "same weights. c, d, Angle between forward weights W and feedback weights B, at the readout and "
    "at the input layer, whose B carries no error anywhere. Lines and bands: mean and 1 SD over "
    "seeds. Diamonds: the logs of Akrout et al. 2019, one run, at their number of updates; their "
    "Kolen-Pollack had no decay."
)

FIGURES = {
    "law": Figure(
        law,
        ("law",),
        "The law of Kolen and Pollack: the gap between forward and feedback weights shrinks as "
        "(1 - decay)^t, in every layer and for every rule of update that takes the same step with W "
        "and B. a, Points: measured; lines: the law, without a free number. b, Controls: no decay, "
        "where the gap stays, unequal decays, and decay as L2 in the gradient under Adam and RMSprop.",
    ),
    "period": Figure(
        period,
        ("xor", "encoder_4_2_4", "encoder_8_3_8"),
        "Tasks of the paper's time; the choice is ours, because the paper's own tasks could not be "
        "established. Share of the runs that have every pattern right, the same decay for all rules.",
    ),
    "mnist": Figure(
        partial(akrout, "mnist", 469),
        ("mnist",),
        f"MNIST digits, 784-500-10 logistic units. {AKROUT_CAPTION} The full preset trains on 60,000 "
        "digits for 400 passes as they did; the quick preset stops early and has 4,000 digits.",
    ),
    "synchronisation": Figure(
        synchronisation,
        ("mnist",),
        "Functional rather than exact synchronisation: on MNIST most of the accuracy is there while "
        "forward and feedback weights of the readout are still far apart. Each line is a run through "
        "training, from the lower left; means over seeds.",
    ),
    "mirror_rates": Figure(
        mirror_rates,
        ("mnist", "mnist_mirror_rates"),
        "MNIST digits, 784-500-10: backprop and the weight mirror, each at the learning rate of its own log "
        "(lines) and of the other's (dashes). a, Test error. b, Training error, at least 0.01 %. Diamonds: the "
        "logs of Akrout et al. 2019, one run each.",
    ),
    "cifar10": Figure(
        partial(akrout, "cifar10", 391),
        ("cifar10",),
        f"CIFAR-10, 3072-1000-10 logistic units. {AKROUT_CAPTION}",
    ),
}
