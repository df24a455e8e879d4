"""Pictures of how a model was judged."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.core.evaluate import AgeError, Bins, Evaluation


def evaluation_plots(evaluation: Evaluation, folder: Path) -> list[Path]:
    """One picture for each thing that was looked at, written into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [reliability_plot(evaluation.reliability, folder / "reliability.png", evaluation.attribute)]
    if evaluation.confusion:
        drawn.append(confusion_plot(evaluation.values, evaluation.confusion, folder / "confusion.png"))
    if evaluation.by_age:
        drawn.append(age_plot(evaluation.by_age, folder / "error_by_age.png"))
    if evaluation.cumulative:
        drawn.append(cumulative_plot(evaluation.cumulative, folder / "cumulative.png"))
    return drawn


def confusion_plot(values: Sequence[str], table: Sequence[Sequence[int]], path: Path, title: str = "") -> Path:
    """Rows are the truth; a cell's shade is its share of the row, its text the share and the count."""
    counts = np.array(table, np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2 + 0.85 * len(values)

    def draw(axes: Axes) -> None:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(values)), values, rotation=45, ha="right")
        axes.set_yticks(range(len(values)), values)
        axes.set(title=title, xlabel="told", ylabel="true")
        for (row, column), share in np.ndenumerate(shares):
            text, colour = f"{share:.2f}\n{counts[row, column]:.0f}", "white" if share > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)

    return _drawn(draw, path, (side, side))


def reliability_plot(bins: Bins, path: Path, title: str = "") -> Path:
    """What was believed against what was right: on the diagonal, a confidence can be taken at its word."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], "--", color="gray", linewidth=0.8)
        axes.plot(bins.believed, bins.right, marker="o")
        axes.set(title=title, xlabel="believed", ylabel="right", xlim=(0, 1), ylim=(0, 1), aspect="equal")

    return _drawn(draw, path, (4.5, 4.5))


def age_plot(errors: Sequence[AgeError], path: Path, title: str = "") -> Path:
    """The mean error of every five years of true age, and in which direction; how many faces stand above."""

    def draw(axes: Axes) -> None:
        middles = [(each.low + each.high) / 2 for each in errors]
        axes.bar(middles, [each.mae for each in errors], width=4, alpha=0.6, label="mean absolute error")
        axes.plot(middles, [each.bias for each in errors], color="black", marker=".", label="bias: told less true")
        for middle, each in zip(middles, errors, strict=True):
            axes.annotate(str(each.n), (middle, each.mae), ha="center", va="bottom", fontsize=6)
        axes.axhline(0, color="gray", linewidth=0.8)
        axes.set(title=title, xlabel="true age, years", ylabel="years")
        axes.legend()

    return _drawn(draw, path, (8, 4))


def cumulative_plot(shares: Sequence[float], path: Path, title: str = "") -> Path:
    """The share of faces whose age is off by at most so many years."""

    def draw(axes: Axes) -> None:
        axes.plot(range(len(shares)), shares, marker=".")
        axes.set(title=title, xlabel="off by at most, years", ylabel="share of faces", ylim=(0, 1))
        axes.grid(alpha=0.3)

    return _drawn(draw, path, (5.5, 4))


def _drawn(draw: Callable[[Axes], None], path: Path, size: tuple[float, float]) -> Path:
    figure = Figure(figsize=size, layout="constrained")
    draw(figure.subplots())
    figure.savefig(path, dpi=120)
    return path
