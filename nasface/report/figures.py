"""Figures of matplotlib as files, and inside a page: in the page's colours, named and described for screen readers."""

from __future__ import annotations

import io
import re
from html import escape
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from nasface.utils.files import atomic_write

# What is drawn -> variables of the page's style sheet, which has others for the dark.
_VARIABLES = {
    **{"#1f5fbf": "c0", "#b3500a": "c1", "#1d7a46": "c2", "#a8326e": "c3", "#6a50b8": "c4", "#5d6470": "c5"},
    **{"#d9822b": "c1", "#8a8f98": "soft", "#23272e": "ink", "#e3e5e8": "rule", "#e8eaee": "grid"},
    **{"#ffffff": "card", "#fafafa": "card", "#fdf3e7": "card"},
}


def save_figure(figure: Figure, path: str | Path | None, dpi: int = 130) -> Figure:
    """Save a figure in the format that the path's ending names, on white; None saves nothing. The same figure is the
    same bytes: no date and no random names are in the file.

    Raises:
        UserError: the file cannot be written.
    """
    if path is not None:
        ending = Path(path).suffix.lower()[1:] or "png"
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(ending)
        with atomic_write(path) as temporary, rc_context({"svg.hashsalt": "nasface"}):
            figure.savefig(temporary, format=ending, dpi=dpi, facecolor="white", metadata=metadata)
    return figure


def inline_svg(figure: Figure, title: str, description: str) -> str:
    """A figure as an element of a page, without a background.

    Args:
        title: short, its name to a screen reader.
        description: what it shows, in words and figures.
    """
    stream = io.StringIO()
    # Text stays text, in the page's font; what is referred to has names that no other figure of the page has.
    salt = f"{title} {description}"
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.sans-serif": ["DejaVu Sans"]}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    beside = r'<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>| id="[\w.]+_\d+"'  # these would act on the page
    text = re.sub(beside, "", stream.getvalue(), flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None  # matplotlib writes it
    content = text[text.index(">", box.end()) + 1 :].replace("xlink:href", "href").replace("'DejaVu Sans'", "system-ui")
    for colour, variable in _VARIABLES.items():
        content = content.replace(colour, f"var(--{variable})")
    return (
        f'<svg class="chart" {box[0]} role="img" aria-label="{escape(title, quote=True)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{content.strip()}"
    )
