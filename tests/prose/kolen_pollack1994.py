"""How the numbers in the prose of Kolen and Pollack 1994 follow from the accepted tables."""

import numpy as np

from tests.prose.accepted import Paper

P = Paper(
    "kolen_pollack1994", bp="backprop", fa="feedback_alignment", kp="kolen_pollack",
    plain="kolen_pollack_no_decay", mirror="weight_mirror", code="weight_mirror_logged",
    signs="sign_symmetry",
)  # fmt: skip
RATES = "mnist_mirror_rates"
READOUT, INPUT = ("weight_angle", "readout"), ("weight_angle", "hidden_1")
DELTA = ("delta_angle", "hidden_1")

SECTIONS = {
    "Kolen and Pollack 1994: feedback weights that learn": "results",
    "Numbers": "results",
    "Claims": "results",
    "Not run": "results",
    "Scope": "settings",
    "Protocol": "settings",
    "What the sources do not say, and what we did": "settings",
    "At full scale": "results",
    "Changed after the first results": "told",
    "What was easy, what was hard": "results",
}


def ours(arm, measure="test_error", layer=""):
    return P.last("mnist", arm, measure, layer)


def logged(arm, measure="test_error", layer=""):
    return P.published("mnist", arm, f"{measure}/{layer}" if layer else measure)


def beside_print(*which):
    return [x for one in which for x in (ours(*one), logged(*one))]


def mirrored(angle, updates=468):
    """An angle of the logged mirror after its first pass, and the log's."""
    return [
        P.runs("mnist", "code", *angle, x="step").loc[updates].mean(),
        logged("code", angle[0], f"{angle[1]}@{updates}"),
    ]


def synchronised(arm):
    """How many times later than 90 % of its final accuracy 5 degrees between W and B are reached."""
    when = []
    error, angle = P.runs("mnist", arm, x="step"), P.runs("mnist", arm, *READOUT, x="step")
    for seed in error:
        accuracy = 100 - error[seed]
        learnt = accuracy.index[accuracy >= 0.9 * accuracy.iloc[-1]].min()
        near = angle.index[angle[seed] <= 5].min()
        when.append(near / learnt)
    return np.exp(np.mean(np.log(when)))


def first_pass():
    """The end of the logs' first pass, in updates, and how far our angles are from theirs there at most."""
    updates = int(P.runs("mnist", "bp", x="step").index[P.runs("mnist", "bp").index == 1][0])
    gaps = [
        P.runs("mnist", arm, *angle, x="step").loc[updates].mean()
        - logged(arm, angle[0], f"{angle[1]}@{updates}")
        for arm in ("fa", "plain")
        for angle in (READOUT, INPUT, ("delta_angle", "hidden_1"))
    ]
    return updates, max(map(abs, gaps))


SAYINGS = [
    (
        "the angles of the logs of Akrout et al. ({} and {} degrees at the readout; logged {} "
        "and {})",
        lambda: [
            ours("plain", *READOUT),
            ours("fa", *READOUT),
            logged("plain", *READOUT),
            logged("fa", *READOUT),
        ],
    ),
    (
        "no cost of the copy: {} % test error with decay, where backprop with the same has {} %",
        lambda: [ours("kp"), ours("backprop_decay")],
    ),
    (
        "mirror of the code ends at {} % (logged {}), with the logged angles; bounded, as the paper has it, at "
        "{} %",
        lambda: [*beside_print(["code"]), ours("mirror")],
    ),
    (
        "with decay is within {} points of plain backprop; it is {} behind ({} to {})",
        lambda: [0.2, *P.part("K5", 0)],
    ),
    (
        "MNIST, {} digits for {} passes as in the logs, {} seeds",
        lambda: [60_000, P.spec("mnist", "bp").epochs, P.seeds("mnist", "bp")],
    ),
    (
        "Backprop ends at {} % (logged {}), feedback alignment at {} % ({}), Kolen-Pollack "
        "without decay at {} % ({})",
        lambda: beside_print(["bp"], ["fa"], ["plain"]),
    ),
    (
        "between `W` and `B` of the readout {} degrees for Kolen-Pollack without decay ({}) and "
        "{} for feedback alignment ({}); at the input layer, where `B` is not used, {} ({})",
        lambda: beside_print(("plain", *READOUT), ("fa", *READOUT), ("plain", *INPUT)),
    ),
    (
        "({} degrees at the readout), and the test error is {} %; backprop with the same decay "
        "and rate has {} %",
        lambda: [ours("kp", *READOUT), ours("kp"), ours("backprop_decay")],
    ),
    (
        "with it {} % of the training digits stay wrong under either rule, without it none",
        lambda: [ours("kp", "train_error")],
    ),
    (
        "a margin of {} points, is open by a hair: with decay Kolen-Pollack is {} points behind "
        "({} to {}), without it {} ({} to {}), and feedback alignment is {} and {} behind these "
        "two",
        lambda: [0.2, *P.part("K5", 0), *P.part("K5", 1), P.part("K5", 2)[0], P.part("K5", 3)[0]],
    ),
    (
        "{} % of the final accuracy is there in a {}th of the updates that `B` takes to come "
        "within {} degrees of `W`; without decay in a {}th",
        lambda: [90, (synchronised("kp"), 10), 5, (synchronised("plain"), 10)],
    ),
    (
        "as logged** ends at {} % ({}), and its angles come out: {} degrees between `W` and `B` at the readout "
        "({}), {} at the input layer ({}), {} between the hidden error signals and backprop's ({})",
        lambda: beside_print(["code"], ("code", *READOUT), ("code", *INPUT), ("code", *DELTA)),
    ),
    (
        "After its first pass of {} updates they are {} ({}), {} ({}) and {} ({})",
        lambda: [468, *(x for angle in (READOUT, INPUT, DELTA) for x in mirrored(angle))],
    ),
    (
        "the mirror ends at {} %, with {} % of the training digits still wrong",
        lambda: [ours("mirror"), ours("mirror", "train_error")],
    ),
    (
        "has the rate of {} too, and {} % of the training digits wrong at the end",
        lambda: [
            P.spec("mnist", "code").optimizer.sgd.learning_rate,
            ours("code", "train_error"),
        ],
    ),
    (
        "sign symmetry is within {} points of backprop (K8); at backprop's rate it is {} behind",
        lambda: [0.3, P.part("K8", 0)[0]],
    ),
    (
        "and one size, which stays) ends at {} %, {} points behind backprop, and is not told from feedback "
        "alignment, which is {} points behind it ({} to {})",
        lambda: [ours("signs"), P.part("K8", 0)[0], *P.part("K8", 1)],
    ),
    (
        "It leaves {} % of the training digits wrong, feedback alignment {} %, backprop none; its hidden error "
        "signals end {} degrees from backprop's, those of feedback alignment {}",
        lambda: [
            *(ours(arm, "train_error") for arm in ("signs", "fa")),
            *(ours(arm, *DELTA) for arm in ("signs", "fa")),
        ],
    ),
    ("Its angle stays at the {} degrees that its noise sets", lambda: [ours("mirror", *READOUT)]),
    (
        "at the log's {} backprop itself ends at {} %, and at backprop's {} the bounded mirror "
        "ends at {} %",
        lambda: [
            P.spec("mnist", "mirror").optimizer.sgd.learning_rate,
            P.last(RATES, "backprop_0.05"),
            P.spec("mnist", "bp").optimizer.sgd.learning_rate,
            P.last(RATES, "weight_mirror_0.2"),
        ],
    ),
    (
        "After {} updates, the end of the logs' first pass, all angles of feedback alignment and "
        "of Kolen-Pollack without decay are within {} degrees of the logged",
        lambda: [first_pass()[0], first_pass()[1]],
    ),
    ("in a minute what takes {} updates", lambda: [P.spec("mnist", "bp").epochs * first_pass()[0]]),
]
