"""Self-contained HTML pages: images are embedded; no script, network or other file is needed.

Pages have a light and a dark mode.
"""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from cyclegan.evaluation.results import Results

LINE = 14  # of a name in a plot
STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --soft: #6b6b70; --line: #dcdce0; --paper: #fff;
        --band: #f5f5f7; --failure: #b00020 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececf0; --soft: #9a9aa2; --line: #3a3a40; --paper: #161618; --band: #202024;
          --failure: #ff8a80 }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1600px; padding: 2.5rem clamp(1rem, 4vw, 3rem) 4rem;
       background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.75rem; font-weight: 650; letter-spacing: -.01em; margin: 0 0 1.5rem }
h2 { font-size: 1.1rem; font-weight: 600; margin: 2.5rem 0 .75rem }
p { color: var(--soft); max-width: 75ch; margin: .75rem 0 }
p.failure { color: var(--failure) }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
.costs { min-width: 100%; font-size: .9rem }
.costs th, .costs td { padding: .5rem .7rem; text-align: right; border-bottom: 1px solid var(--line) }
.costs td, .costs tbody th { white-space: nowrap }
.costs thead th { font-size: .8rem; font-weight: 500; line-height: 1.3; color: var(--soft);
                  vertical-align: bottom }
.costs tbody th { font-weight: 600 }
.costs th:first-child { text-align: left; padding-left: 0 }
.costs tbody tr:hover { background: var(--band) }
.plot { display: block; width: 100%; max-width: 800px; font-size: 13px; fill: var(--ink) }
.plot path { fill: none; stroke: var(--line) }
.plot .tick { fill: var(--soft); font-size: 11px }
.grid { width: 100% }
.grid th { padding: .5rem; font-size: .95rem; font-weight: 600; text-align: center }
.grid td { padding: .25rem; min-width: 150px; vertical-align: top }
.grid img { display: block; width: 100%; height: auto; border-radius: 3px }
"""


def page(title: str, *sections: str) -> str:
    """Build a page of sections made by the functions below."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{"".join(section for section in sections if section)}</body>
</html>
"""


def heading(text: str) -> str:
    """Format the heading of a section."""
    return f"<h2>{escape(text)}</h2>\n"


def numbers(table: Sequence[Sequence[str]]) -> str:
    """Format a table whose first row is the head and whose first column holds the names."""
    return f'<div class="scroll"><table class="costs">\n{_costs(table)}\n</table></div>\n'


def paragraphs(texts: Iterable[str]) -> str:
    """Format paragraphs of text."""
    return "".join(f"<p>{escape(text)}</p>\n" for text in texts)


def messages(texts: Iterable[str]) -> str:
    """Format paragraphs in the color of failures."""
    return "".join(f'<p class="failure">{escape(text)}</p>\n' for text in texts)


def pictures(columns: Mapping[str, Sequence[UInt8[np.ndarray, "_ _ 3"]]], captions: Sequence[str]) -> str:
    """Format an image grid: one column for each name, one row for each caption."""
    return f'<div class="scroll"><table class="grid">\n{_grid(columns, captions)}\n</table></div>\n'


def assessed(results: Results) -> str:
    """Format failure modes, tables, and a plot of realism against content."""
    tables = "".join(heading(title) + numbers(table) for title, table in results.tables().items())
    return messages(results.messages()) + tables + plotted(results)


def plotted(results: Results) -> str:
    """Plot realism against content; empty if either was not measured."""
    plot = scatter(*results.points())
    return heading("Realism against content") + plot if plot else ""


def scatter(title_x: str, title_y: str, points: Mapping[str, tuple[float, float]]) -> str:
    """Plot named points, where up and right are better: x grows to the right, y grows downward."""
    shown = {name: point for name, point in points.items() if np.isfinite(point).all()}
    if not shown:
        return ""
    (left, right), (low, high) = (_range([point[axis] for point in shown.values()]) for axis in (0, 1))
    marks = []
    taken: list[tuple[float, float, float]] = []  # left and right ends of the names, and their heights
    for name, (x, y) in shown.items():
        at_x = 70 + 560 * (x - left) / (right - left)
        at_y = line = 20 + 320 * (y - low) / (high - low)
        anchor, beside = ("end", -9) if at_x > 430 else ("start", 9)
        begin, end = sorted((at_x, at_x + beside * len(name)))  # a letter is about 7 wide
        while any(begin < other and one < end and abs(line - height) < LINE for one, other, height in taken):
            line += LINE
        taken.append((begin, end, line))
        marks.append(
            f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="5"/>'
            f'<text x="{at_x + beside:.1f}" y="{line + 4:.1f}" '
            f'text-anchor="{anchor}">{escape(name)}</text>'
        )
    places = {  # of ticks: attributes -> number
        'x="70" y="362"': left,
        'x="630" y="362" text-anchor="end"': right,
        'x="62" y="28" text-anchor="end"': low,
        'x="62" y="340" text-anchor="end"': high,
    }
    ticks = [f'<text class="tick" {place}>{number:.3g}</text>' for place, number in places.items()]
    return (
        '<svg class="plot" viewBox="0 0 700 400" role="img" aria-label="target realism against content kept">'
        f'<path d="M70 20V340H630"/>{"".join(ticks)}{"".join(marks)}'
        f'<text x="350" y="388" text-anchor="middle">{escape(title_x)}: more is kept →</text>'
        f'<text transform="translate(18 180) rotate(-90)" text-anchor="middle">'
        f"{escape(title_y)}: nearer →</text>"
        "</svg>\n"
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of an axis, with a margin."""
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.5
    return low - margin, high + margin


def data_uri(picture: UInt8[np.ndarray, "h w 3"]) -> str:
    """Encode an image as the data URI of a PNG."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _costs(table: Sequence[Sequence[str]]) -> str:
    head, *rows = table
    body = (
        _row([f'<th scope="row">{escape(row[0])}</th>', *(f"<td>{escape(cell)}</td>" for cell in row[1:])])
        for row in rows
    )
    return f"<thead>{_head(head)}</thead>\n<tbody>\n" + "\n".join(body) + "\n</tbody>"


def _grid(columns: Mapping[str, Sequence[np.ndarray]], captions: Sequence[str]) -> str:
    rows = zip(captions, zip(*columns.values(), strict=True), strict=True)
    body = (
        _row(f"<td>{_img(p, f'{caption}: {name}')}</td>" for name, p in zip(columns, row, strict=True))
        for caption, row in rows
    )
    return f"<thead>{_head(columns)}</thead>\n<tbody>\n" + "\n".join(body) + "\n</tbody>"


def _img(picture: np.ndarray, alt: str) -> str:
    height, width = picture.shape[:2]
    text = escape(alt)
    return f'<img src="{data_uri(picture)}" width="{width}" height="{height}" alt="{text}" title="{text}">'


def _head(names: Iterable[str]) -> str:
    return _row(f'<th scope="col">{escape(name)}</th>' for name in names)


def _row(cells: Iterable[str]) -> str:
    return f"<tr>{''.join(cells)}</tr>"
