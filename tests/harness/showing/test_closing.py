"""A run ends with five lines: what came out, what failed, what moved, where to look."""

import json

from replications.harness.judging import manifests
from replications.harness.sealed import write_json
from replications.harness.showing import closing
from replications.harness.store import Store


def judged(**verdicts):
    claims = [
        {"id": name, "verdict": verdict, "identity": name == "I", "power": name != "P"}
        for name, verdict in verdicts.items()
    ]
    return {"claims": claims, "numbers": []}


def save(path, found):
    """As ``accept`` does: the text, and its digest in the manifest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    manifest = manifests.Manifest(files={path.name: manifests.text_digest(path.read_text())})
    (path.parent / manifests.MANIFEST).write_text(manifest.text)


def test_the_last_lines_of_a_run(tmp_path):
    store = Store(tmp_path / "results", tmp_path / "papers")
    for preset in ("quick", "full"):
        now = judged(A="reproduced", B="not reproduced", I="reproduced", P="reproduced")
        write_json(store.verdicts(preset, "toy"), now)
        save(store.kept_verdicts("toy", preset), judged(A="inconclusive", B="not reproduced"))
    lines = closing.lines(["toy"], ["quick", "full"], store)
    assert len(lines) == 5
    assert "1 reproduced, 0 open, 1 failed" in lines[0]
    assert "1 without power; 1 of 1 exact identities hold" in lines[0]
    assert lines[2].split() == ["failed", "B"]
    assert "A (quick) from open to reproduced" in lines[3]
    assert "claims.html" in lines[4]


def test_nothing_judged_nothing_said(tmp_path):
    assert closing.lines(["toy"], ["quick"], Store(tmp_path, tmp_path)) == []
