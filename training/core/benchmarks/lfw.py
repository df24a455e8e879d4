"""LFW, View 2 (Huang et al., 2007): ten folds of 600 pairs, the threshold of each from the other nine.

pairs.txt                                  `10 300`; then for each fold 300 lines `name i j`, 300 `name i name j`
lfw-deepfunneled/Name/Name_0001.jpg        or lfw/, lfw_funneled/
"""

from pathlib import Path

from training.core.benchmarks.protocol import Contestant, NotMeasured, Outcome
from training.core.benchmarks.published import PUBLISHED
from training.core.benchmarks.verification import Pair, verify

PICTURES = ("lfw-deepfunneled", "lfw_funneled", "lfw-funneled", "lfw")
FOLDS, HALF = 10, 300


def read(folder: Path) -> list[Pair]:
    """Raises NotMeasured."""
    table = folder / "pairs.txt"
    pictures = next((folder / name for name in PICTURES if (folder / name).is_dir()), None)
    if not table.is_file() or pictures is None:
        raise NotMeasured(f"{folder} holds no pairs.txt with a folder {PICTURES[0]} beside it.")
    header, *lines = (line for line in table.read_text(encoding="utf-8").splitlines() if line.strip())
    told = header.split()
    if len(told) != 2 or not all(word.isdecimal() for word in told):
        raise NotMeasured(
            f"{table} begins with {header!r}, not with the numbers of folds and of pairs, as View 2 does."
        )
    folds, half = int(told[0]), int(told[1])
    if len(lines) != folds * 2 * half:
        raise NotMeasured(f"{table} promises {folds * 2 * half} pairs and has {len(lines)}. Fetch it again.")
    return [_pair(pictures, line.split("\t"), fold=number // (2 * half)) for number, line in enumerate(lines)]


def _pair(pictures: Path, words: list[str], fold: int) -> Pair:
    if len(words) == 3:
        name, first, second = words
        return Pair(_photo(pictures, name, first), _photo(pictures, name, second), True, fold, name)
    if len(words) != 4:
        raise NotMeasured(
            f"A line of pairs.txt has {len(words)} words, {words}; three or four, with tabs, are expected."
        )
    name, first, other, second = words
    return Pair(_photo(pictures, name, first), _photo(pictures, other, second), False, fold, name)


def _photo(pictures: Path, name: str, number: str) -> Path:
    return pictures / name / f"{name}_{int(number):04d}.jpg"


def run(folder: Path, contestant: Contestant) -> Outcome:
    pairs = read(folder)
    folds = len({pair.fold for pair in pairs})
    found = verify(contestant, pairs)
    notes = [] if folds == FOLDS else [f"{folds} of {FOLDS} folds: not the whole of View 2, no figure to compare by"]
    return Outcome(
        protocol="lfw",
        title="LFW, View 2",
        columns=("accuracy",),
        ours=(found.ours,),
        published=PUBLISHED["lfw"],
        faces=found.faces,
        notes=(*notes, "trained on other data than LFW (unrestricted, labelled outside data)"),
        scores=found.scores,
    )
