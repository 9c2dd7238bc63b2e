"""What a conversion says of itself."""

import dataclasses

import pytest
from flax import nnx

import bioflax
from bioflax._report import Entry


def test_what_was_done_and_what_was_measured_cannot_be_rewritten():
    model = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
    _, report = bioflax.convert(model, bioflax.Backprop(), report=True)
    measured = bioflax.Alignment({}, {}, {}, {}, {}, {})
    for record in (report, report.entries[0], measured):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, dataclasses.fields(record)[0].name, None)


ENTRIES = (
    Entry(path="", layer="Net", action="left", reason="uses table by itself"),
    Entry(path="first", layer="Linear", action="converted"),
    Entry(path="norm", layer="BatchNorm", action="exact", reason="no weights"),
    Entry(path="second", layer="Conv", action="converted"),
)


def test_modules_are_told_by_what_became_of_them_in_their_order():
    report = bioflax.Report(bioflax.FeedbackAlignment(), ENTRIES)
    assert report.paths("converted") == ["first", "second"]
    assert report.paths("exact") == ["norm"]
    assert report.paths("left") == [""]
    assert report.paths("unknown") == []


def test_it_prints_as_a_table_with_a_line_a_module():
    first, *lines = str(bioflax.Report(bioflax.KolenPollack(), ENTRIES)).splitlines()
    assert first == "KolenPollack(): 2 layers converted"
    assert [line.split()[:3] for line in lines] == [
        [".", "Net", "left"],
        ["first", "Linear", "converted"],
        ["norm", "BatchNorm", "exact"],
        ["second", "Conv", "converted"],
    ]
    assert lines[0].endswith("uses table by itself")
    assert (
        len({line.index(entry.layer, 6) for line, entry in zip(lines, ENTRIES, strict=True)}) == 1
    )
    assert not any(line.endswith(" ") for line in lines)
