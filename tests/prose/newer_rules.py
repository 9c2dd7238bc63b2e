"""How the numbers in the prose of the newer rules' page follow from the accepted quick run."""

from tests.prose.accepted import Paper

P = Paper("newer_rules")

SECTIONS = {
    "Newer rules: one control experiment each": "results",
    "Numbers": "results",
    "Claims": "results",
    "Not run": "results",
    "Protocol": "settings",
    "What is not here": "settings",
}
SAYINGS = []
