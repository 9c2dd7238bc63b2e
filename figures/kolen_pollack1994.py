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
SHORT = {"backprop": "backprop", "feedback_alignment": "FA", "kolen_pollack": "Kolen-Pollack"}
# Its code drops the last part of a pass, and so makes an update less in each; its ends stand beside others'.
LOGGED = "weight_mirror_logged"
PERIOD = (BACKPROP, FEEDBACK, KOLEN_POLLACK)
ALIGNED = (
    FEEDBACK,
    KOLEN_POLLACK,
    Look("kolen_pollack_no_decay", "Kolen-Pollack without decay", "--", half=True),
    Look("weight_mirror", "weight mirror, bounded", "--", published=False),
    Look(LOGGED, "weight mirror, as logged"),
    Look("sign_symmetry", "sign symmetry", published=False),
)
AKROUT = (
    BACKPROP,
    Look("backprop_decay", "backprop with the decay", ":", published=False),
    *ALIGNED,
)
# Backprop and the weight mirror, bounded, each at its own rate of the logs and at the other's.
RATES = (
    BACKPROP._replace(label="backprop, rate 0.2"),
    Look("backprop_0.05", "backprop, 0.05", "--", published=False),
    Look("weight_mirror_0.2", "bounded weight mirror, 0.2", "--", published=False),
    Look("weight_mirror", "bounded weight mirror, 0.05", published=False),
)
# Arms of the law: how they update, and the decay of the line on which they should lie.
LAW = {
    "sgd_0.01": "SGD, logistic",
    "momentum_0.003": "momentum, relu",
    "sgd_0.001": "SGD, tanh, 3 layers",
    "adam_0.0003": "Adam, logistic",
}
BROKEN = {
    "no_decay": "no decay",
    "unequal_decay": "W 0.001, B 0.002",
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
    figure, (kept, broken) = style.panels(2, style.PAGE, 3.3)
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
        kept.plot(x / 1e3, (1 - decay) ** x, color=colour, label=f"{label}, {decay:g}", zorder=1)
    for decay, line in ((1e-3, "--"), (1e-4, ":")):
        label = f"the law, decay {decay:g}"
        broken.plot(x / 1e3, (1 - decay) ** x, line, color=style.TEXT, label=label, linewidth=1)
    shades = style.shades("kolen_pollack", len(BROKEN))
    for (arm, label), kind, colour in zip(
        BROKEN.items(), ("o", "s", "^", "v"), shades, strict=True
    ):
        runs = _relative(table, arm, "readout")
        drawn.append(runs)
        mean = style.band(runs, "sd").centre
        line = mean[mean > 0]
        broken.plot(line.index / 1e3, line, f"{kind}-", color=colour, label=label, markersize=3)
    for axes, low in ((kept, -10), (broken, -5)):
        axes.set_yscale("log")
        axes.set_ylim(10.0**low, 3)
        axes.set_yticks([10.0**power for power in range(low, 1, -low // 5)])
        axes.minorticks_off()
        axes.set_xlabel("updates (10³)")
    for axes, title in ((kept, "a  the law, with its decay"), (broken, "b  off the law")):
        axes.set_title("")
        bold = {"size": 8, "weight": "bold"}
        legend = axes.legend(
            loc="lower left", bbox_to_anchor=(-0.1, 1), ncols=2, columnspacing=1, title=title,
            title_fontproperties=bold, alignment="left",
        )  # fmt: skip
        # It is wider than its axes, and stands in the room that is left above them.
        legend.set_in_layout(False)
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 0.8))
    kept.set_ylabel("|W - B| over its start")
    style.footer(
        figure,
        style.seeds(*drawn),
        "a: every seed, line: the law; circles hidden layer 1, squares 2, triangles readout",
        "b: readout, mean; decay 0.01 as L2 where it says so",
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
        first = []
        for look in PERIOD:
            runs = style.runs(tables[name], look.arm, "test_error", x="epoch")
            drawn.append(runs)
            solved = style.solved(runs)
            median = solved.median_time
            time = f"{median:g} epochs" if median < float("inf") else "median never"
            label = f"{SHORT[look.arm]}: {solved.at_the_end}, {time}"
            share = 100 * solved.share
            axes.plot(share.index, share, color=look.colour, label=label, drawstyle="steps-post")
            first += [float(epoch) for epoch in share.index[share > 0][:1]]
        axes.set_xscale("log")
        # From a little before the first run is solved.
        axes.set_xlim(min(first) / 2.5, 1.05 * share.index[-1])
        style.ticks_of_log(axes)
        axes.set_xlabel("epochs")
        axes.set_ylim(0, 104)
        axes.set_yticks(range(0, 101, 25))
        axes.set_title("")
        bold = {"size": 8, "weight": "bold"}
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.04, 1), handlelength=1.2, title=f"{letter}  {title}",
            title_fontproperties=bold, alignment="left",
        )  # fmt: skip
    panels[0].set_ylabel("runs with every pattern right (%)")
    style.footer(
        figure,
        style.seeds(*drawn),
        "legends: runs solved at the end, median time over all runs; FA: feedback alignment",
    )
    return figure


def akrout(experiment: str, per_pass: int, tables: Tables, published: PublishedValues) -> "Drawing":
    """The test error, its end once more, and three angles of a net of Akrout et al., over training."""
    from matplotlib.figure import Figure as Drawing

    table = tables[experiment]
    figure = Drawing(figsize=(style.PAGE, 4.7), layout="constrained")
    grid = figure.add_gridspec(2, 6)
    error, end = figure.add_subplot(grid[0, :3]), figure.add_subplot(grid[0, 3:])
    panels = [figure.add_subplot(grid[1, 2 * i : 2 * i + 2]) for i in range(3)]
    places = {"test_error": [error, end], **{k: [p] for k, p in zip(ANGLES, panels, strict=True)}}
    drawn = [100 * style.runs(table, look.arm, "test_error") for look in AKROUT]
    for look, errors in zip(AKROUT, drawn, strict=True):
        for axes in (error, end):
            style.trace(axes, errors, look, "sd")
    for axes, name in zip(panels, ANGLES, strict=True):
        measure, layer = name.split("/")
        for look in ALIGNED:
            style.trace(axes, style.runs(table, look.arm, measure, layer), look, "sd")
    looks = {look.arm: look for look in AKROUT}
    sources, late = [], []
    places_of = {key: _place(key, per_pass) for key in published if key[0] == experiment}
    for (where, arm, measure), value in published.items():
        if where == experiment:
            name, step = places_of[where, arm, measure]
            near = 0.1 if name == "test_error" else 3
            crowded = arm == LOGGED and any(
                place == (name, step) and abs(published[key].number - value.number) < near
                for key, place in places_of.items()
                if key[1] != arm
            )
            for axes in places[name]:
                # Two logs that end alike stand side by side.
                style.published(
                    axes,
                    looks[arm],
                    value.number,
                    x=step,
                    stand=-crowded,
                )
            sources.append(value)
            late += [value.number] if name == "test_error" else []
    last = float(drawn[0].index[-1])
    for axes in (error, end, *panels):
        axes.set_xscale("log")
        # A short run ends long before the logs do, whose later values lie outside.
        axes.set_xlim(9, 1.5 * last)
        axes.set_xlabel("updates")
        style.ticks_of_log(axes)
    style.error_axis(error, "test", (1, 2, 5, 10, 20, 50, 100))
    if experiment != "mnist":
        error.set_ylim(40, 100)
    there = last >= PASSES * per_pass
    style.zoom(end, drawn, last, late if there else [], share=2.5)
    end.set_ylabel("test error (%), the end")
    titles = ("test error", "test error, the end", *ANGLES.values())
    for axes, title, letter in zip((error, end, *panels), titles, "abcde", strict=True):
        axes.set_title(f"{letter}  {title}", fontsize=7.5, fontweight="bold")
    for axes in panels:
        style.right_angle(axes)
    panels[0].set_ylabel("angle (°)")
    style.legend(figure, AKROUT, columns=3)
    outside = [] if there else [f"the logs' ends, after {PASSES} passes, lie outside"]
    style.footer(figure, style.seeds(*drawn), "mean ± 1 SD", style.sources(sources), *outside)
    return figure


def _place(key: tuple[str, str, str], per_pass: int) -> tuple[str, float]:
    """The panel of a published value, and its update."""
    name, _, after = key[2].partition("@")
    return name, float(after or PASSES * (per_pass - (key[1] == LOGGED)))


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
        angles = style.runs(table, look.arm, "weight_angle", "readout")
        angle = style.band(angles, "sd").centre
        for seed in angles:
            own = 100 * accuracy[seed] / accuracy[seed].iloc[-1]
            axes.plot(angles[seed], own, color=look.colour, linewidth=0.5, alpha=0.4)
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
    style.footer(
        figure,
        style.seeds(*drawn),
        "thick: means, thin: each run",
        "dots and ring: the end",
        "dashed: 90 %, 5°",
    )
    return figure


def mirror_rates(tables: Tables, published: PublishedValues) -> "Drawing":
    """Test and training error of backprop and the weight mirror at both learning rates of the logs."""
    import pandas as pd

    table = pd.concat([tables["mnist"], tables["mnist_mirror_rates"]])
    said = {look: published["mnist", look.arm, "test_error"] for look in RATES if look.published}
    return style.learning_curves(table, RATES, said, PASSES)


AKROUT_CAPTION = (
    "a, Test error. b, Its end, on an axis of its own. c, Angle between the hidden error "
    "signals of a rule and those of backprop at the "
    "same weights. d, e, Angle between forward weights W and feedback weights B, at the readout and "
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
        claims=("K1", "K2", "K3", "K3-broken"),
        shown=True,
    ),
    "period": Figure(
        period,
        ("xor", "encoder_4_2_4", "encoder_8_3_8"),
        "Tasks of the paper's time; the choice is ours, because the paper's own tasks could not be "
        "established. Share of the runs that have every pattern right, the same decay for all rules.",
        claims=("K0",),
    ),
    "mnist": Figure(
        partial(akrout, "mnist", 469),
        ("mnist",),
        f"MNIST digits, 784-500-10 logistic units. {AKROUT_CAPTION} The full preset trains on 60,000 "
        "digits for 400 passes as they did; the quick preset stops early and has 4,000 digits.",
        claims=("K2-digits", "K4", "K4-levels", "K5", "K5-decay", "K5-levels"),
        shown=True,
    ),
    "synchronisation": Figure(
        synchronisation,
        ("mnist",),
        "Functional rather than exact synchronisation: on MNIST most of the accuracy is there while "
        "forward and feedback weights of the readout are still far apart. Each line is a run through "
        "training, from the lower left; means over seeds.",
        claims=("K7",),
    ),
    "mirror_rates": Figure(
        mirror_rates,
        ("mnist", "mnist_mirror_rates"),
        "MNIST digits, 784-500-10: backprop and the bounded weight mirror, each at the learning rate "
        "of its own log (lines) and of the other's (dashes). a, Test error. b, Its end. c, Training error, "
        "at least 0.01 %. Diamond: the log of backprop, one run, of Akrout et al. 2019; the mirror of the "
        "logs is another one.",
        claims=("K5-levels",),
        shown=True,
    ),
    "cifar10": Figure(
        partial(akrout, "cifar10", 391),
        ("cifar10",),
        f"CIFAR-10, 3072-1000-10 logistic units. {AKROUT_CAPTION}",
        claims=("K6",),
    ),
}
