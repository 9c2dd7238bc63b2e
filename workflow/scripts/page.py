"""A page of the report from Markdown: ``python -m workflow.scripts.page TITLE IN.md OUT.html``."""

import sys
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
table { border-collapse: collapse; margin: 0.5em 0 1.5em; }
th, td { border-bottom: 1px solid #ddd; padding: 0.3em 0.8em; }
th, td { text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #888; white-space: nowrap; }
td { font-variant-numeric: tabular-nums; }
"""


def page(title: str, markdown: str) -> str:
    """A whole page that needs nothing from outside."""
    body = MarkdownIt("commonmark").enable("table").render(markdown)
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}</body></html>\n'


if __name__ == "__main__":
    title, source, target = sys.argv[1:]
    Path(target).write_text(page(title, Path(source).read_text()))
