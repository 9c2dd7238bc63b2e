"""Which modules of a model are meant: by path, by type, or by a function."""

import pytest
from flax import nnx

import bioflax
from bioflax._filters import inside, name_of
from tests.bioflax.cases import streams

MODEL = nnx.Dict(
    first=nnx.Sequential(nnx.Linear(2, 2, rngs=streams()), nnx.BatchNorm(2, rngs=streams())),
    second=nnx.Sequential(nnx.Conv(2, 2, 3, rngs=streams())),
)


def chosen(filters):
    """The paths of the layers that are meant."""
    kinds = nnx.Linear | nnx.BatchNorm | nnx.Conv
    meant = inside(filters, "skip", MODEL)
    paths = [path for path, module in nnx.iter_modules(MODEL) if isinstance(module, kinds)]
    return sorted(name_of(path) for path in paths if meant(path))


ALL = ["first/layers/0", "first/layers/1", "second/layers/0"]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ("first/layers/1", ["first/layers/1"]),
        ("first", ALL[:2]),
        ("*/layers/0", ["first/layers/0", "second/layers/0"]),
        ("", ALL),
        (nnx.Conv, ["second/layers/0"]),
        (nnx.Sequential, ALL),
        (lambda path, module: isinstance(module, nnx.BatchNorm), ["first/layers/1"]),
        (lambda path, module: path == "second", ["second/layers/0"]),
        (["first/layers/0", nnx.Conv], ["first/layers/0", "second/layers/0"]),
        ((nnx.BatchNorm,), ["first/layers/1"]),
        ([], []),
        # A type that the model does not have is no mistake; a path is.
        (nnx.Embed, []),
    ],
)
def test_a_module_is_meant_with_all_that_is_inside_it(filters, wanted):
    assert chosen(filters) == wanted


def test_a_path_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"skip='frist' is not the path of a module; nearest: 'first'$"
    ):
        chosen(["second", "frist"])
    with pytest.raises(ValueError, match=r"skip='zzz' is not the path of a module$"):
        chosen("zzz")


@pytest.mark.parametrize("filters", [3, None, ["first", 3]])
def test_what_is_no_filter_is_refused(filters):
    with pytest.raises(TypeError, match=r"skip=(3|None) is not a filter: give a path, a type or"):
        chosen(filters)


def test_a_filter_is_asked_about_layers_and_not_about_the_products_inside_them():
    asked = []

    def remember(name, module):
        asked.append(name)
        return False

    model = nnx.Sequential(bioflax.Linear(3, 3, rngs=streams()))
    inside(remember, "skip", model)
    assert sorted(asked) == ["", "layers", "layers/0"]
