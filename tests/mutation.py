"""What a mutation run needs besides its tool, cosmic-ray; CONTRIBUTING.md has the commands.

``drop SESSION`` takes out of a new session what is no behaviour: operators in annotations, the bare
star of a signature, which the tool takes for a product, and the ``strict=True`` of ``zip``.
``test`` is the command run for every mutant: the tests that reach the module that differs from the
last commit, up to a failure.
"""

import ast
import sqlite3
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Of each module, or folder of modules: where its tests are, in ``tests/bioflax``.
TESTS = {
    "__init__.py": ["layers"],
    "_alignment.py": ["alignment", "history", "convert", "rules"],
    "_angle.py": ["angle", "alignment"],
    "_convert.py": ["convert", "flow", "alignment", "direct", "product"],
    "_diagnostics.py": ["diagnostics", "history"],
    "_direct": ["direct", "marked", "alignment", "convert"],
    "_feedback.py": ["feedback", "rules", "layers"],
    "_filters.py": ["filters", "convert"],
    "_flow.py": ["flow"],
    "_history.py": ["history"],
    "_initializers.py": ["initializers"],
    "_law.py": ["law"],
    "_layers": ["convert", "rules", "layers", "options", "linen"],
    "_mirror.py": ["mirror", "rules", "product"],
    "_product.py": ["product", "layers", "convert", "rules"],
    "_pure.py": ["pure", "direct", "marked", "alignment"],
    "_report.py": ["report", "convert", "flow"],
    "_rules": ["rules", "mirror", "layers", "convert"],
    "_signals.py": ["signals", "alignment", "product"],
    "_stack.py": ["stack", "direct", "mirror", "convert"],
    "_streams.py": ["streams"],
    "_tap.py": ["tap", "signals", "alignment", "flow"],
}
# A product of all layers, rules, transforms and types, each compiled: too slow for every mutant.
MATRIX = "test_layers.py::test_gradients_under_every_transform_equal_the_hand_written_backward_pass"


def span(node: ast.expr) -> tuple[tuple[int, int], tuple[int, int]]:
    return (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)


def behaves(path: str, row: int, column: int) -> bool:
    """Whether the operator at this place of a module computes something."""
    nodes = list(ast.walk(ast.parse((ROOT / path).read_text())))
    fields = [getattr(node, field, None) for node in nodes for field in ("annotation", "returns")]
    annotations = [span(a) for a in fields if a is not None]
    operations = [span(node) for node in nodes if isinstance(node, ast.BinOp)]

    def inside(spans: list[tuple[tuple[int, int], tuple[int, int]]]) -> bool:
        return any(start <= (row, column) < end for start, end in spans)

    return inside(operations) and not inside(annotations)


def guards(path: str, row: int, column: int) -> bool:
    """Whether a constant is that of ``strict=True``: for lists of one length no input tells it."""
    line = (ROOT / path).read_text().splitlines()[row - 1]
    return line[:column].endswith("strict=")


def drop(session: str) -> None:
    with sqlite3.connect(session) as db:

        def mutants(operators: str) -> list[tuple[str, str, int, int]]:
            return db.execute(
                "SELECT job_id, module_path, start_pos_row, start_pos_col FROM mutation_specs"
                " WHERE operator_name LIKE ?",
                (operators,),
            ).fetchall()

        idle = [
            *((m[0],) for m in mutants("core/ReplaceBinaryOperator%") if not behaves(*m[1:])),
            *((m[0],) for m in mutants("core/ReplaceTrueWithFalse") if guards(*m[1:])),
        ]
        for table in ("mutation_specs", "work_items"):
            db.executemany(f"DELETE FROM {table} WHERE job_id = ?", idle)
        (left,) = db.execute("SELECT count(*) FROM work_items").fetchone()
    print(f"{len(idle)} mutants dropped, {left} left")


def test() -> int:
    command = ["git", "diff", "--name-only", "--relative", "--", "bioflax"]
    changed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    modules = [Path(line) for line in changed.split() if line.endswith(".py")]
    every = [name for names in TESTS.values() for name in names]
    keys = [path.parts[1] for path in modules] or [""]
    names = dict.fromkeys(name for key in keys for name in TESTS.get(key, every))
    files = [f"tests/bioflax/test_{name}.py" for name in names]
    options = ["-x", "-q", "-p", "no:cacheprovider", f"--deselect=tests/bioflax/{MATRIX}"]
    pytest = [sys.executable, "-m", "pytest", *options, *map(str, modules), *files]
    return subprocess.run(pytest, cwd=ROOT).returncode


if __name__ == "__main__":
    if sys.argv[1:] == ["test"]:
        sys.exit(test())
    elif sys.argv[1:2] == ["drop"] and len(sys.argv) == 3:
        drop(sys.argv[2])
    else:
        sys.exit(__doc__)
