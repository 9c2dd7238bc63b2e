"""How the numbers in the prose of Lillicrap et al. 2016 follow from the accepted tables."""

import numpy as np

from replications.harness import statistics
from tests.prose.accepted import Paper

P = Paper(
    "lillicrap2016", bp="backprop", fa="feedback_alignment", sparse="sparse_feedback_alignment",
    same_w="feedback_alignment_same_w",
)  # fmt: skip
SEARCH, LOG = "nonlinear_search", " (log10)"
# What digits_search tried: rates on backprop, scales of the feedback.
RATES, SCALES = (("0.001", "0.02", "0.05", "0.1", "0.2", "0.4"), ("0.1", "0.2", "0.5", "1", "2"))

SECTIONS = {
    "Lillicrap et al. 2016: feedback alignment": "results",
    "Numbers": "results",
    "Claims": "results",
    "Not run": "results",
    "Scope": "settings",
    "Protocol": "settings",
    "What the article says": "settings",
    "Where it contradicts itself": "settings",
    "What we chose, and why": "settings",
    "What came out on a CPU": "results",
    "The variants: what the preprint does not say, and what we did": "settings",
    "The variant at full scale": "results",
    "Where we fall short: the nonlinear task": "results",
    "What was easy, what was hard": "results",
}


def small(experiment, arm, measure):
    """Where a quick run ends: the geometric mean of an NSE, percents of an error, degrees."""
    if "nse" in measure:
        return 10 ** P.quick(experiment, f"{arm}/{measure}{LOG}")
    return P.quick(experiment, f"{arm}/{measure}")


def linear(arm):
    return P.quick("linear", f"{arm}/test_nse{LOG}")


def logs(arm):
    """log10 of the error of an arm of the nonlinear search, a row per record, a column per seed."""
    return np.log10(P.runs(SEARCH, arm, "test_nse", x="step"))


def ratio(which, depth=4):
    """The error of feedback alignment over that of backprop at the end, geometric means."""
    return 10 ** ahead(which, depth).iloc[-1]


def ahead(which, depth=4):
    """log10 of feedback alignment's error over backprop's, by record."""
    a, b = (logs(f"{rule}_{depth}_{which}") for rule in ("feedback_alignment", "backprop"))
    return a.mean(axis=1) - b.mean(axis=1)


def ahead_until(which, depth):
    """The last record up to which feedback alignment is ahead without a break."""
    behind = ahead(which, depth).loc[1:] > 0
    return behind.index[behind.cumsum() == 0].max()


def interval(which):
    a, b = (logs(f"{rule}_4_{which}").iloc[-1] for rule in ("feedback_alignment", "backprop"))
    found = statistics.welch_interval(a.to_numpy(), b.to_numpy())
    return [10**found.low, 10**found.high]


def printed_ratio():
    """The same in print, of four layers."""
    rules = ("feedback_alignment", "backprop")
    ours, theirs = (P.published("nonlinear", f"{rule}_4", "test_nse") for rule in rules)
    return ours / theirs


def deep(arm):
    """Where an arm of the printed teacher ends at full scale, a geometric mean."""
    return 10 ** np.log10(P.ends("depth", arm, "test_nse_variance")).mean()


def turned():
    return P.last("mechanics", "fa", "weight_angle", "readout")


def units():
    return [P.last("mechanics", "fa", "unit_angle", f"unit_{n}") for n in range(1, 11)]


def above_print():
    """Degrees by which L10-levels stands above print, and the first record at which it fails."""
    printed = [P.published("mechanics", "fa", f"weight_angle/readout{at}")
               for at in ("@10000", "@50000", "@100000", "")]  # fmt: skip
    return [P.part("L10-levels", i)[0] - said for i, said in enumerate(printed)]


def phases():
    return [P.part("L11-levels", i)[0] for i in range(3)]


def digits(arm, at):
    """The mean error after so many digits, in percent."""
    return float(P.runs("digits", arm, x="step").loc[at].mean())


def digits_angle(at):
    return float(P.runs("digits", "fa", "delta_angle", "hidden_1", x="step").loc[at].mean())


def searched(*arms, experiment="digits_search"):
    return [P.last(experiment, arm) for arm in arms]


def search(b):
    return P.last("mnist_search", f"feedback_alignment_b_{b}")


SAYINGS = [
    (
        "has the printed levels, {} % by feedback alignment ({}), {} % by backprop ({}), {} % with "
        "half the weights absent ({})",
        lambda: [
            x for a in ("fa", "bp", "sparse") for x in (P.last("mnist", a), P.published("mnist", a))
        ],
    ),
    (
        "after {} passes, chosen because they appear there (at the article's {}: {} and {} %)",
        lambda: [
            P.spec("mnist", "bp").epochs,
            P.spec("digits", "bp").epochs,
            P.after(30, "mnist", "fa"),
            P.after(30, "mnist", "bp"),
        ],
    ),
    (
        "it ends three decades behind (10^{} against 10^{}), each at its best rate",
        lambda: [linear("fa"), linear("bp")],
    ),
    (
        "feedback alignment ends at {} times backprop's error, in print at {} times",
        lambda: [P.part("L7", 2)[0], printed_ratio()],
    ),
    (
        "its n was chosen after looks at results: {}, then {} of {}",
        lambda: [5, P.seeds("mnist", "bp"), P.spec("mnist", "bp").seeds],
    ),
    (
        "at {} passes it has {} % (backprop) and {} % (feedback alignment)",
        lambda: [30, P.after(30, "mnist", "bp"), P.after(30, "mnist", "fa")],
    ),
    (
        "three decades behind backprop (10^{} against 10^{}), where print",
        lambda: [linear("fa"), linear("bp")],
    ),
    (
        "(backprop at {}: 10^{}, feedback alignment at {}: 10^{})",
        lambda: [
            x
            for a, rate in (("backprop", "0.006"), ("feedback_alignment", "0.008"))
            for x in (
                float(rate),
                np.median(np.log10(P.ends("linear_search", f"{a}_{rate}", "test_nse"))),
            )
        ],
    ),
    (
        "`mechanics` and `phases` have been run, {} runs of each arm",
        lambda: [P.seeds("phases", "bp", "test_nse_variance")],
    ),
    (
        "turning towards the transpose of `B`, to {} degrees (in print {}), and the three phases",
        lambda: [turned(), P.published("mechanics", "fa", "weight_angle/readout")],
    ),
    (
        "From {} degrees `W` turns to {} of the transpose of `B` (print: from {} to {}), {} "
        "single units to {} to {} (L10). The curve has print's shape and stands {} to {} degrees "
        "above it, so L10-levels fails at {} examples",
        lambda: [
            P.part("L10", 0)[0],
            turned(),
            P.published("mechanics", "fa", "weight_angle/readout@0"),
            P.published("mechanics", "fa", "weight_angle/readout"),
            len(units()),
            min(units()),
            max(units()),
            min(above_print()),
            max(above_print()),
            10_000,
        ],
    ),
    (
        "flat at {} while only the hidden weights learn (print {}); then {} as the readout "
        "learns, {} degrees from `B`; then {}. The levels of the later phases are lower than "
        "print's ({} and {})",
        lambda: [
            phases()[0],
            P.published("phases", "fa", "test_nse_variance@250000"),
            phases()[1],
            P.part("L11-aligned", 0)[0],
            phases()[2],
            P.published("phases", "fa", "test_nse_variance@500000"),
            P.published("phases", "fa", "test_nse_variance"),
        ],
    ),
    (
        "After {} examples, by the variance: shallow {}, backprop {} and {} with three and four "
        "layers, feedback alignment {} and {}. So depth helps both, and print's {} and {} are not "
        "near. L7-printed fails: with four layers feedback alignment errs {} times as much as "
        "backprop, which all but learns the teacher. With the first layer frozen it is no better "
        "than the shallow net ({};",
        lambda: [
            400_000,
            *(
                deep(a)
                for a in (
                    "shallow",
                    "backprop_3",
                    "backprop_4",
                    "feedback_alignment_3",
                    "feedback_alignment_4",
                )
            ),
            P.published("depth", "backprop_3", "test_nse_variance"),
            P.published("depth", "backprop_4", "test_nse_variance"),
            (deep("feedback_alignment_4") / deep("backprop_4"), 1000),
            deep("feedback_alignment_4_frozen"),
        ],
    ),
    (
        "A net of {} units a layer has {} % after {} passes over {} digits",
        lambda: [
            P.spec("spiking", "fa", "quick").network.hidden[0],
            small("spiking", "fa", "test_error"),
            P.spec("spiking", "fa", "quick").epochs,
            4_000,
        ],
    ),
    (
        "ends as low as backprop: {} and {} % (in print {} and {};",
        lambda: [
            *(P.last("digits", a) for a in ("fa", "bp")),
            *(P.published("digits", a) for a in ("fa", "bp")),
        ],
    ),
    (
        "its signals stay {} degrees off backprop's, in print {} (L5-printed)",
        lambda: [
            digits_angle(1_780_000),
            P.published("digits", "fa", "delta_angle/hidden_1@1780000"),
        ],
    ),
    (
        "Backprop after {} passes, means of {} runs: {}, {}, {}, {}, {} and {} % at rates of {}, {}, "
        "{}, {}, {} and {} with `w` = {}; {}, {} and {} with `w` = {}, {} and {} at {}; {} with {} at {}",
        lambda: [
            P.spec("digits_search", "backprop_w_0.2").epochs,
            P.seeds("digits_search", "backprop_w_0.2"),
            *searched(*(f"backprop_rate_{rate}" for rate in RATES)),
            *map(float, RATES),
            P.spec("digits_search", "backprop_rate_0.1").network.init.value,
            *searched(*(f"backprop_w_{w}" for w in ("0.02", "0.2", "0.5"))),
            0.02,
            0.2,
            0.5,
            P.spec("digits_search", "backprop_w_0.2").optimizer.sgd.learning_rate,
            *searched("backprop_w_0.2_rate_0.2"),
            0.2,
            0.2,
        ],
    ),
    (
        "Feedback alignment at backprop's best, means of {} runs: {}, {}, {}, {} and {} % with `b` = {}, "
        "{}, {}, {} and {} (the last was added because {} was the end of the grid)",
        lambda: [
            P.seeds("digits_search", "feedback_alignment_b_1"),
            *searched(*(f"feedback_alignment_b_{b}" for b in SCALES)),
            *map(float, SCALES),
            1,
        ],
    ),
    (
        "After {} passes backprop is at {}, feedback alignment at {}, sparse at {}, shallow at {} % "
        "(print: {}, {}, {} and {})",
        lambda: [
            P.spec("digits", "bp").epochs,
            *(P.last("digits", a) for a in ("bp", "fa", "sparse", "shallow")),
            *(P.published("digits", a) for a in ("bp", "fa", "sparse", "shallow")),
        ],
    ),
    (
        "after {} digits feedback alignment has {} and backprop {} % (print: {} and {}), after {} {} and "
        "{} ({} and {})",
        lambda: [
            x
            for at in (10_000, 1_500_000)
            for x in (
                at,
                *(digits(a, at) for a in ("fa", "bp")),
                *(P.published("digits", a, f"test_error@{at}") for a in ("fa", "bp")),
            )
        ],
    ),
    (
        "The angle is at {} degrees after {} digits and at {} at the end (print: {} and {};",
        lambda: [
            digits_angle(30_000),
            30_000,
            digits_angle(1_780_000),
            *(P.published("digits", "fa", f"delta_angle/hidden_1@{at}") for at in (30000, 1780000)),
        ],
    ),
    (
        "the sparse nets end {} points behind backprop ({} to {}; declared at most {})",
        lambda: [*P.part("L6-printed", 0), 0.3],
    ),
    ("L5-printed fails), and below {} from the first pass on", lambda: [90]),
    (
        "Of the training digits feedback alignment leaves {} % wrong, backprop {}:",
        lambda: [P.last("digits", a, "train_error") for a in ("fa", "bp")],
    ),
    (
        "its {} runs at `b` = {}, {}, {}, {} and {} have means of {}, {}, {}, {} and {} %",
        lambda: [
            P.seeds("digits_search_small", "feedback_alignment_b_1"),
            *map(float, SCALES),
            *searched(
                *(f"feedback_alignment_b_{b}" for b in SCALES), experiment="digits_search_small"
            ),
        ],
    ),
    (
        "After {} examples backprop {}, feedback alignment {}, sparse {}, shallow {} %. The {} "
        "runs of feedback alignment have a standard deviation of {} points",
        lambda: [
            4_000 * P.spec("digits", "fa", "quick").epochs,
            *(small("digits", a, "test_error") for a in ("bp", "fa", "sparse", "shallow")),
            P.quick("digits", "fa/test_error", "n"),
            P.quick("digits", "fa/test_error", "sd"),
        ],
    ),
    (
        "no longer fit the training digits ({} % wrong with backprop, as on the test digits), "
        "and the errors stop at {} % (backprop) and {} % (feedback alignment). The published {} "
        "and {} are out of its reach",
        lambda: [
            P.last("mnist_decay", "bp", "train_error"),
            P.last("mnist_decay", "bp"),
            P.last("mnist_decay", "fa"),
            P.published("mnist", "bp"),
            P.published("mnist", "fa"),
        ],
    ),
    (
        "after {} passes {}, {}, {} and {} % for {}, {}, {} and {})",
        lambda: [
            P.spec("mnist_search", "feedback_alignment_b_2").epochs,
            *map(search, (0.5, 1, 2, 4)),
            0.5,
            1,
            2,
            4,
        ],
    ),
    (
        "with rate {} give errors near the published ones (shallow {}, three layers {}, four "
        "layers {})",
        lambda: [
            P.spec("nonlinear", "backprop_4").optimizer.sgd.learning_rate,
            *(
                10 ** P.quick("nonlinear", f"{a}/test_nse{LOG}")
                for a in ("shallow", "backprop_3", "backprop_4")
            ),
        ],
    ),
    (
        "The published {} of the shallow net",
        lambda: [P.published("nonlinear", "shallow", "test_nse")],
    ),
    (
        "Digits, {} for {} passes, with the output error",
        lambda: [60_000, P.spec("mnist", "bp").epochs],
    ),
    (
        "The shallow net ends {} points better than the published one",
        lambda: [P.published("mnist", "shallow") - P.last("mnist", "shallow")],
    ),
    ("Its error still falls after {} passes", lambda: [P.spec("mnist", "bp").epochs]),
    (
        "with an angle of {} degrees instead of {}",
        lambda: [P.last("mnist", a, "delta_angle", "hidden_1") for a in ("same_w", "fa")],
    ),
    (
        "ahead of backprop for the first {} examples, but ends behind it, at {} times its error; "
        "in the paper it is ahead throughout, and ends at {} times",
        lambda: [ahead_until("teacher_0.22", 4), P.part("L7", 2)[0], printed_ratio()],
    ),
    (
        "changes one of our choices at a time ({} runs of every arm",
        lambda: [P.seeds(SEARCH, "backprop_4_teacher_0.2", "test_nse")],
    ),
    (
        "At the scale {} instead of {}, and all else the same",
        lambda: [0.20, 0.22],
    ),
    (
        "ahead of backprop throughout (at the end {} times its error, {} % interval {} to {}), "
        "three layers ahead up to {} examples (published: about {})",
        lambda: [
            ratio("teacher_0.2"),
            95,
            *interval("teacher_0.2"),
            ahead_until("teacher_0.2", 3),
            250_000,
        ],
    ),
    (
        "At {} the ratio is {}, but the second hidden layer no longer helps; at {} it is {}, "
        "because backprop with four layers comes down to {} there",
        lambda: [
            0.18,
            ratio("teacher_0.18"),
            0.25,
            ratio("teacher_0.25"),
            10 ** logs("backprop_4_teacher_0.25").iloc[-1].mean(),
        ],
    ),
    (
        "With initial weights of {} and {} the ratio is {} and {}; with feedback of {} and {} "
        "feedback alignment ends at {} and {} times backprop's error",
        lambda: [
            0.02,
            0.2,
            ratio("w_0.02"),
            ratio("w_0.2"),
            0.25,
            1,
            *(
                10
                ** (logs(f"feedback_alignment_4_b_{b}") - logs("backprop_4_teacher_0.22"))
                .iloc[-1]
                .mean()
                for b in ("0.25", "1")
            ),
        ],
    ),
    (
        "at half of it the two are equal ({}), at twice it the ratio is {}",
        lambda: [ratio("rate_0.02"), ratio("rate_0.08")],
    ),
    (
        "We chose {} before we had looked at feedback alignment, for the errors of backprop and "
        "of the shallow net ({}; published {}; at {} it is {})",
        lambda: [
            0.22,
            10 ** logs("shallow_teacher_0.22").iloc[-1].mean(),
            P.published("nonlinear", "shallow", "test_nse"),
            0.20,
            10 ** logs("shallow_teacher_0.2").iloc[-1].mean(),
        ],
    ),
    (
        "end at an angle of {} or of {} degrees on {} digits",
        lambda: [*(P.quick("mnist", f"{a}/delta_angle/hidden_1") for a in ("fa", "same_w")), 4_000],
    ),
]
