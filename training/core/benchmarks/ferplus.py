"""FER+ (Barsoum et al., 2016): the faces of FER2013 with the votes of ten people each.

    fer2013.csv, fer2013new.csv        official: row by row the same faces; judged is the part PrivateTest
    votes.csv, images/                 the same votes as `file, neutral, happiness, …`, a file a face; judged are all

The true class is what more than half of the votes say, where single votes count as slips, as Barsoum's *majority*.
Contempt is none of the paper's seven classes: faces that are contempt, unknown or no face by that rule, or on which no
half agrees, are left out, and counted.
"""

from collections.abc import Mapping
from pathlib import Path

from annotation.core.datasets.entry import BadDataset, require_folder, rows
from inference.core.attributes import EMOTION
from training.core.benchmarks import fer2013
from training.core.benchmarks.emotion import WORDS, judged
from training.core.benchmarks.protocol import Contestant, NotMeasured, Outcome, Sample

VOTED = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")


def majority(votes: Mapping[str, int]) -> int | None:
    """The index of the emotion that more than half say; None for none, or for none of the seven."""
    counted = {name: count for name, count in votes.items() if count > 1 and name != "NF"}
    most = max(counted, key=lambda name: counted[name], default="")
    if not most or votes["NF"] > counted[most] or counted[most] <= sum(counted.values()) / 2:
        return None
    return WORDS.get(most)


def read(folder: Path) -> tuple[list[Sample], int, bool]:
    """The faces with a true class, how many have none, and whether it is the official test part. Raises NotMeasured."""
    official = (folder / "fer2013new.csv").is_file()
    try:
        found = _official(folder) if official else _files(folder)
    except BadDataset as error:
        raise NotMeasured(str(error)) from error
    samples = [sample for sample in found if sample is not None]
    return samples, len(found) - len(samples), official


def _official(folder: Path) -> list[Sample | None]:
    votes = list(rows(folder / "fer2013new.csv", ("Usage", *VOTED)))
    found: list[Sample | None] = []
    faces = 0
    for number, usage, row in fer2013.rows(folder):
        faces += 1
        if number < len(votes) and usage == fer2013.PART:
            value = majority(_counts(votes[number], f"row {number}"))
            picture = fer2013.pixels(row, number) if value is not None else None
            found.append(None if picture is None else Sample(f"row {number}", picture, value or 0, cropped=True))
    if faces != len(votes):
        raise NotMeasured(
            f"fer2013.csv has {faces} faces and fer2013new.csv votes on {len(votes)}: they do not belong together."
        )
    return found


def _files(folder: Path) -> list[Sample | None]:
    found: list[Sample | None] = []
    for row in rows(require_folder(folder, "votes.csv", what="FER+"), ("file", *VOTED)):
        value = majority(_counts(row, row["file"]))
        file = folder / "images" / row["file"]
        found.append(None if value is None else Sample(row["file"], file, value, cropped=True))
    return found


def _counts(row: Mapping[str, str], name: str) -> dict[str, int]:
    if not all(row[column].isdecimal() for column in VOTED):
        raise NotMeasured(f"The votes on {name} are no whole numbers.")
    return {column: int(row[column]) for column in VOTED}


def run(folder: Path, contestant: Contestant) -> Outcome:
    samples, without, official = read(folder)
    notes = [f"{without} faces are left out: contempt, unknown, no face, or no half of the votes agrees"]
    if not official:
        notes.insert(0, "not the official test part: all faces that are there")
    return judged(
        contestant, samples, protocol="ferplus", title=f"FER+, {len(EMOTION.values)} classes by majority", notes=notes
    )
