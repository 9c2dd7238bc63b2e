"""The ways to draw an array, on draws that say what is asked of them."""

import pytest

from replications.harness.catalogue.starts import STARTS, Fan


class Asked:
    """Draws that tell the number with which they were asked for."""

    def uniform(self, bound):
        return ("uniform", bound)

    def normal(self):
        return 1.0

    def full(self, value):
        return ("full", value)


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("zeros", ("full", 0.0)),
        ("constant", ("full", 0.3)),
        ("uniform", ("uniform", 0.3)),
        ("normal", 0.3),
        ("fan_in_uniform", ("uniform", 1 / 4)),
        ("fan_sum_normal", 1 / 5),
        ("fan_in_normal", 2**0.5 / 4),
        ("fan_sum_uniform", ("uniform", 6**0.5 / 5)),
        ("receiver_uniform", ("uniform", 1 / 2)),
    ],
)
def test_a_draw_is_scaled_by_its_value_or_the_connections_of_a_unit(name, drawn):
    assert STARTS[name].draw(Asked(), 0.3, Fan(16, 9, 4)) == pytest.approx(drawn) or (
        STARTS[name].draw(Asked(), 0.3, Fan(16, 9, 4)) == drawn
    )


def test_what_the_net_fills_in_itself_is_not_drawn():
    assert {name for name, start in STARTS.items() if start.draw is None} == {
        "forward_weights", "grid"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "inputs", "fan"),
    [
        ((784, 10), None, Fan(784, 10, 10)),
        # A convolution's kernel: height, width, channels in and out.
        ((5, 5, 3, 96), None, Fan(75, 25 * 96, 5 * 3 * 96)),
        # A bias does not tell its inputs.
        ((10,), 784, Fan(784, 10, 1)),
        # Direct feedback: outputs of the net, units that receive it.
        ((10, 7, 7, 3), None, Fan(490, 210, 147)),
    ],
)
def test_the_connections_of_a_unit_follow_from_the_shape(shape, inputs, fan):
    assert Fan.of(shape, inputs) == fan
