"""A model card as HTML: headings, lists, tables, code and bold. Everything else is text, and is shown as such."""

import re
from collections.abc import Iterator
from html import escape
from itertools import groupby


def as_html(text: str) -> str:
    """Nothing that stands in the text can become markup of its own: it is escaped before anything is read."""
    blocks = groupby(text.splitlines(), key=_kind)
    return "\n".join(piece for kind, lines in blocks for piece in _block(kind, list(lines)))


def _kind(line: str) -> str:
    if not line.strip():
        return "gap"
    if re.match(r"#{1,6} ", line):
        return "heading"
    if re.match(r"\s*[-*] ", line):
        return "list"
    return "table" if line.lstrip().startswith("|") else "paragraph"


def _block(kind: str, lines: list[str]) -> Iterator[str]:
    if kind == "heading":
        for line in lines:
            marks, _, title = line.partition(" ")
            level = min(len(marks) + 1, 6)  # the page has its own first heading
            yield f"<h{level}>{_inline(title)}</h{level}>"
    elif kind == "list":
        items = (f"<li>{_inline(line.lstrip()[2:])}</li>" for line in lines)
        yield f'<ul class="plain">{"".join(items)}</ul>'
    elif kind == "table":
        yield _table(lines)
    elif kind == "paragraph":
        yield f"<p>{_inline(' '.join(line.strip() for line in lines))}</p>"


def _table(lines: list[str]) -> str:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    ruled = len(rows) > 1 and all(re.fullmatch(r":?-+:?", cell) for cell in rows[1])
    head, body = (rows[0], rows[2:]) if ruled else ([], rows)
    titles = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in head)
    lines_ = ("".join(f"<td>{_inline(cell)}</td>" for cell in row) for row in body)
    drawn = "".join(f"<tr>{line}</tr>" for line in lines_)
    return (
        f'<div class="table" tabindex="0"><table><thead><tr>{titles}</tr></thead><tbody>{drawn}</tbody></table></div>'
    )


def _inline(text: str) -> str:
    safe = escape(text)
    safe = re.sub(r"`([^`]+)`", r'<code class="breaks">\1</code>', safe)
    return re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", safe)
