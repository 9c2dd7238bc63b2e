"""How the numbers in the prose of the newer rules' page follow from the accepted quick run."""

from tests.prose.accepted import Paper

P = Paper(
    "newer_rules",
    dfa="direct_feedback_alignment",
    fa="feedback_alignment",
    product="product_feedback",
)
PEAK = "activity_cosine/hidden_3@max over the run"

SECTIONS = {
    "Newer rules: one control experiment each": "results",
    "Numbers": "results",
    "Claims": "results",
    "Not run": "results",
    "Protocol": "settings",
    "What is not here": "settings",
}


def published(experiment, arm, measure):
    return P.published(experiment, arm, measure)


def angles(arm):
    return [P.quick("product", f"{arm}/weight_angle/{layer}") for layer in ("hidden_2", "readout")]


SAYINGS = [
    (
        "the third hidden layer peaks at {} without and {} with it, published {} and {}",
        lambda: [
            P.part("C1", 0, "quick")[0],
            P.part("C1", 1, "quick")[0],
            published("centring", "dfa", PEAK),
            published("centring", "error_centring", PEAK),
        ],
    ),
    (
        "after {} updates it is {} points ahead ({} to {}), published {}",
        lambda: [
            450,
            *P.part("C2", 0, "quick"),
            published("centring", "dfa", "test_error@450")
            - published("centring", "error_centring", "test_error@450"),
        ],
    ),
    (
        "{} % test error where direct feedback has {} % after {} updates",
        lambda: [
            P.quick("conditioning", "conditioned_feedback/test_error"),
            P.quick("conditioning", "dfa/test_error"),
            P.spec("conditioning", "dfa", "quick").steps,
        ],
    ),
    (
        "a test loss of {} of that ({} to {}, declared below {})",
        lambda: [*P.part("D2", 0, "quick"), 0.95],
    ),
    (
        "at {} degrees to `W` in the second layer and {} in the readout, where the `B` of feedback alignment "
        "is at {} and {}",
        lambda: [*angles("product"), *angles("fa")],
    ),
    (
        "{} % test error at its end, feedback alignment without that decay {} %",
        lambda: [P.quick("product", f"{arm}/test_error") for arm in ("product", "fa")],
    ),
]
