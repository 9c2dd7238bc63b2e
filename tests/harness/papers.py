"""Papers of the tests' own, in a folder of papers."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from replications.harness.store import Store


def write_paper(
    folder: Path, paper: Any, claims: Any = None, published: Any = None, name: str = "toy"
) -> Store:
    """Write ``paper`` (the content of experiments.yaml) with its claims and published numbers.

    The store that has it: ``folder/papers`` and ``folder/results``.
    """
    store = Store(folder / "results", folder / "papers")
    store.experiments(name).parent.mkdir(parents=True, exist_ok=True)
    store.experiments(name).write_text(yaml.safe_dump(paper, sort_keys=False))
    if claims is not None:
        store.claims(name).write_text(yaml.safe_dump(claims, sort_keys=False))
    if published is not None:
        store.published(name).write_text(yaml.safe_dump(published, sort_keys=False))
    return store


CLAIM: dict[str, Any] = {
    "id": "T1",
    "place": "Fig. 1",
    "statement": "a is good | and\n stays so",
    "control": {"why": "the other arm", "arms": {"a": "b"}},
    "said": {"text": "2.4 %", "certainty": "A", "source": "text"},
    "parts": [
        {"value": {"experiment": "toy", "arm": "a", "measure": "test_error"}, "below": 0.5},
        {
            "value": {"experiment": "toy", "arm": "a", "measure": "test_error"},
            "minus": {"arm": "b"},
            "below": 0,
        },
    ],
}
TOY: dict[str, Any] = {
    "title": "t",
    "reference": "r",
    "experiments": {
        "toy": {
            "title": "t",
            "place": "p",
            "spec": {
                "task": {"patterns": {"x": [[1.0]], "y": [[1.0]]}},
                "network": {"hidden": [1], "init": "zeros"},
                "optimizer": {"sgd": {"learning_rate": 0.1}},
                "measures": ["test_error"],
                "seeds": 4,
            },
            "arms": {"a": {"rule": "backprop"}, "b": {"rule": "feedback_alignment"}},
            "presets": {"quick": None, "full": None},
        }
    },
}


def write_toy(folder: Path, *claims: Any, published: Any = None, **more: Any) -> Store:
    """The paper above with these claims."""
    return write_paper(folder, TOY, {"claims": list(claims), **more}, published)


LINE: dict[str, Any] = {
    "title": "A paper",
    "reference": "Somebody (1999)",
    "experiments": {
        "line": {
            "title": "A line",
            "place": "Fig. 1",
            "spec": {
                "task": {"teacher": {"inputs": 3, "outputs": 2, "train": 50}},
                "network": {"hidden": [4], "activation": "linear", "init": {"uniform": 0.1}},
                "rule": "feedback_alignment",
                "optimizer": {"sgd": {"learning_rate": 0.01}},
                "measures": ["test_nse"],
                "seeds": 2,
            },
            "arms": {
                "backprop": {"rule": "backprop"},
                "wide": {"network": {"hidden": [9]}, "presets": {"full": {"seeds": 7}}},
                "adam": {
                    "optimizer": {"adam": {"learning_rate": 0.1}},
                    "network": {"init": "zeros"},
                },
            },
            "presets": {"quick": None, "full": {"epochs": 5, "seeds": 3}},
        }
    },
}


def write_line(folder: Path, change: Callable[[Any], None] = lambda paper: None) -> Store:
    """The paper above, changed, under the name ``paper``."""
    content = copy.deepcopy(LINE)
    change(content)
    return write_paper(folder, content, name="paper")


def put(path: Sequence[str], value: Any) -> Callable[[Any], None]:
    """A change: ``value`` at ``path`` of the experiment's spec."""

    def change(paper: Any) -> None:
        place = paper["experiments"]["line"]["spec"]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change
