"""Pictures of what was measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

DASHES = ("--", ":", "-.", (0, (1, 3)), (0, (6, 2, 1, 2, 1, 2)))


def rehearsal_plots(outcome: Mapping[str, Any], folder: Path) -> list[Path]:
    """Labels, coverage and true error over the actions taken, one picture for each thing that was rehearsed."""
    paths = []
    for name in outcome["plan"]["what"]:
        paths.append(folder / f"{name}.png")
        figure_of(outcome, name).savefig(paths[-1], dpi=120)
    return paths


def figure_of(outcome: Mapping[str, Any], name: str) -> Figure:
    moments = [each for each in outcome["moments"] if each["labelled"][name]]
    actions = [each["actions"] for each in moments]
    figure = Figure(figsize=(11, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, *actions], [0, *(each["labelled"][name] for each in moments)], label="labelled")
    if any(name in each["by_machine"] for each in moments):
        machine = [each["by_machine"].get(name, 0) for each in moments]
        left.plot([0, *actions], [0, *machine], label="of them by certificate")
    left.axhline(outcome["known"][name], color="gray", linewidth=0.8, linestyle=":", label="faces that can be scored")
    left.plot([0, outcome["known"][name]], [0, outcome["known"][name]], "--", color="gray", label="one answer each")
    along = {"xlabel": "human actions", "xlim": (0, max([*actions, 1]) * 1.05)}
    left.set(title=f"{name}: labels", ylabel="faces", **along)
    left.legend()
    wrong = [1 - each["right"][name] / each["labelled"][name] for each in moments]
    engine = f"the engine: {wrong[-1]:.3f}, {actions[-1]:,} actions" if wrong else "the engine"
    right.plot(actions, wrong, label=engine)
    ways = [each for each in outcome["baselines"] if each["attribute"] == name and each["labelled"]]
    for number, each in enumerate(ways):
        error = 1 - each["right"] / each["labelled"]
        # Told apart by dashes and colours: names written on the lines cover one another where errors are alike.
        way = f"{each['name']}: {error:.3f}, {each['actions']:,} actions"
        right.axhline(error, color=f"C{number + 1}", linestyle=DASHES[number % len(DASHES)], linewidth=1.2, label=way)
    most = max([0.01, *wrong, *(1 - each["right"] / each["labelled"] for each in ways)]) * 1.05
    right.set(title=f"{name}: true error of the labels", ylabel="share wrong", ylim=(-0.02 * most, most), **along)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", fontsize=8, title="true error")
    return figure
