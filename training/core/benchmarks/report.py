"""An outcome as people read it: our rows among the published ones, and pictures."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Canvas

from training.core.benchmarks.protocol import Ours, Outcome, shown
from training.core.plots import evaluation_plots


def told(outcome: Outcome) -> str:
    """A table in Markdown, ours in bold, and what is to be said with it."""
    head = ["method", "year", *outcome.columns, "from"]
    lines = [f"# {outcome.title}", "", _line(head), _line(["---"] * len(head))]
    for each in outcome.ours:
        figures = [shown(name, each.figures[name]) if name in each.figures else "" for name in outcome.columns]
        lines.append(_line([f"**{each.method}**", "", *figures, f"measured here, n = {each.n:,}"]))
    for other in outcome.published:
        figures = [other.figures.get(name, "") for name in outcome.columns]
        lines.append(_line([other.method, str(other.year), *figures, other.source]))
    spreads = sorted({f.spread_is for each in outcome.ours for f in each.figures.values() if f.spread_is})
    said = [
        f"- {outcome.faces}",
        *(f"- {note}" for note in outcome.notes),
        *(f"- ± is the {spread}" for spread in spreads),
    ]
    said.append("- in brackets: 95 % intervals, drawn over people where the set names them")
    tables = [_table(each) for each in outcome.ours if each.evaluation and each.evaluation.confusion]
    return "\n".join([*lines, "", *said, *tables]) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _table(ours: Ours) -> str:
    """The confusion table; a row is what is true."""
    assert ours.evaluation is not None
    values = list(ours.evaluation.values)
    rows = [
        _line([name, *(str(count) for count in row)])
        for name, row in zip(values, ours.evaluation.confusion, strict=True)
    ]
    return "\n".join(
        [
            "",
            f"{ours.method}, true (rows) and told (columns):",
            "",
            _line(["", *values]),
            _line(["---"] * (len(values) + 1)),
            *rows,
        ]
    )


def pictures(outcome: Outcome, folder: Path) -> list[Path]:
    """Drawn into the folder: a folder for each row of ours, or the cosines of pairs."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [_scores(outcome.scores, folder / "cosines.png", outcome.title)] if outcome.scores else []
    for each in outcome.ours:
        if each.evaluation is not None:
            drawn += evaluation_plots(
                each.evaluation, folder / re.sub(r"[^a-z0-9]+", "-", each.method.lower()).strip("-")
            )
    return drawn


def _scores(scores: Mapping[str, tuple[float, ...]], path: Path, title: str) -> Path:
    """How far the likenesses of one person and of two lie apart."""
    canvas = Canvas(figsize=(7, 4), layout="constrained")
    axes = canvas.subplots()
    spread = np.percentile(np.concatenate([np.array(cosines) for cosines in scores.values()]), (0.5, 100))
    for name, cosines in scores.items():
        axes.hist(
            cosines,
            bins=60,
            range=(float(spread[0]), float(spread[1])),
            alpha=0.6,
            label=f"{name}, {len(cosines):,} pairs",
        )
    axes.set(title=title, xlabel="cosine", ylabel="pairs")
    axes.legend()
    canvas.savefig(path, dpi=120)
    return path
