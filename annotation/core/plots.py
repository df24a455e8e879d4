"""Pictures of what was measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def rehearsal_plots(outcome: Mapping[str, Any], folder: Path) -> list[Path]:
    """Labels, coverage and true error over the actions taken, one picture for each thing that was rehearsed."""
    return [_plot(outcome, name, folder / f"{name}.png") for name in outcome["plan"]["what"]]


def _plot(outcome: Mapping[str, Any], name: str, path: Path) -> Path:
    moments = [each for each in outcome["moments"] if each["labelled"][name]]
    actions = [each["actions"] for each in moments]
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(actions, [each["labelled"][name] for each in moments], label="labelled")
    if any(name in each["by_machine"] for each in moments):
        left.plot(actions, [each["by_machine"].get(name, 0) for each in moments], label="of them by certificate")
    left.axhline(outcome["known"][name], color="gray", linewidth=0.8, linestyle=":")
    left.plot([0, outcome["known"][name]], [0, outcome["known"][name]], "--", color="gray", label="one answer each")
    left.set(title=f"{name}: labels", xlabel="human actions", ylabel="faces", xlim=(0, max([*actions, 1]) * 1.05))
    left.legend()
    right.plot(actions, [1 - each["right"][name] / each["labelled"][name] for each in moments], label="the engine")
    for each in outcome["baselines"]:
        if each["attribute"] == name and each["labelled"]:
            error = 1 - each["right"] / each["labelled"]
            right.axhline(error, linewidth=0.8, linestyle="--", color="gray")
            right.annotate(each["name"], (0, error), fontsize=7, va="bottom")
    right.set(title=f"{name}: true error of the labels", xlabel="human actions", ylabel="share wrong", ylim=(0, None))
    figure.savefig(path, dpi=120)
    return path
