"""The pictures of the tests' own paper: one per experiment."""

from figures import Figure


def _curve(experiment):
    def draw(tables, published):
        from matplotlib.figure import Figure as Drawing

        drawing = Drawing(figsize=(3, 2))
        table = tables[experiment]
        drawing.subplots().plot(table["step"], table["value"], ".")
        return drawing

    return draw


FIGURES = {
    "line": Figure(_curve("line"), ("line",), "The error on a line."),
    "other": Figure(_curve("other"), ("other",), "The loss of another net."),
}
