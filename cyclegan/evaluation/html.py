"""One self-contained HTML page of a comparison: its pictures are inside it, it needs no script, no network and no other
file, and it is light or dark as the reader's system is.
"""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np
from jaxtyping import UInt8
from PIL import Image

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --soft: #6b6b70; --line: #dcdce0; --paper: #fff; --band: #f5f5f7;
        --alarm: #b00020 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececf0; --soft: #9a9aa2; --line: #3a3a40; --paper: #161618; --band: #202024;
          --alarm: #ff8a80 }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1600px; padding: 2.5rem clamp(1rem, 4vw, 3rem) 4rem; background: var(--paper);
       color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.75rem; font-weight: 650; letter-spacing: -.01em; margin: 0 0 1.5rem }
h2 { font-size: 1.1rem; font-weight: 600; margin: 2.5rem 0 .75rem }
p { color: var(--soft); max-width: 75ch; margin: .75rem 0 }
p.failure { color: var(--alarm) }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
.costs { min-width: 100%; font-size: .9rem }
.costs th, .costs td { padding: .5rem .7rem; text-align: right; border-bottom: 1px solid var(--line) }
.costs td, .costs tbody th { white-space: nowrap }
.costs thead th { font-size: .8rem; font-weight: 500; line-height: 1.3; color: var(--soft); vertical-align: bottom }
.costs tbody th { font-weight: 600 }
.costs th:first-child { text-align: left; padding-left: 0 }
.costs tbody tr:hover { background: var(--band) }
.wall { width: 100% }
.wall th { padding: .5rem; font-size: .95rem; font-weight: 600; text-align: center }
.wall td { padding: .25rem; min-width: 150px; vertical-align: top }
.wall img { display: block; width: 100%; height: auto; border-radius: 3px }
"""


def page(
    title: str,
    table: Sequence[Sequence[str]],
    columns: Mapping[str, Sequence[UInt8[np.ndarray, "_ _ 3"]]],
    captions: Sequence[str],
    notes: Sequence[str],
    failures: Sequence[str],
) -> str:
    """The page: the table, whose first row is its head; what is to be said of it; and the picture wall."""
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
<div class="scroll"><table class="costs">
{_costs(table)}
</table></div>
{_paragraphs('<p class="failure">', failures)}{_paragraphs("<p>", notes)}<h2>Pictures</h2>
<div class="scroll"><table class="wall">
{_wall(columns, captions)}
</table></div>
</body>
</html>
"""


def data_uri(picture: UInt8[np.ndarray, "h w 3"]) -> str:
    """The picture as a PNG inside an address."""
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


def _wall(columns: Mapping[str, Sequence[np.ndarray]], captions: Sequence[str]) -> str:
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


def _paragraphs(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"{tag}{escape(text)}</p>\n" for text in texts)
