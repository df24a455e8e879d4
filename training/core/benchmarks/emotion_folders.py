"""Any set of emotions in which the folder is the class: `happy/a.jpg`, `test/sadness/b.png`, at any depth.

Where there is a folder `test`, only what lies in it is judged. Folders with other names (contempt) are left out, and
counted.
"""

from pathlib import Path

from annotation.core.datasets.entry import pictures
from training.core.benchmarks.emotion import WORDS, judged
from training.core.benchmarks.protocol import Contestant, NotMeasured, Outcome, Sample


def read(folder: Path) -> tuple[list[Sample], int]:
    """The samples, and how many pictures lie in no folder of an emotion. Raises NotMeasured."""
    if not folder.is_dir():
        raise NotMeasured(f"There is no folder {folder}.")
    files = [Path(file) for file in pictures(folder)]
    if any("test" in _folders(file) for file in files):
        files = [file for file in files if "test" in _folders(file)]
    named = [(file, next((word for word in reversed(_folders(file)) if word in WORDS), None)) for file in files]
    samples = [Sample(file.as_posix(), folder / file, WORDS[word]) for file, word in named if word is not None]
    if not samples:
        raise NotMeasured(f"{folder} holds no picture in a folder that is called like an emotion: {', '.join(WORDS)}.")
    return samples, len(files) - len(samples)


def _folders(file: Path) -> list[str]:
    return [part.lower() for part in file.parts[:-1]]


def run(folder: Path, contestant: Contestant) -> Outcome:
    samples, others = read(folder)
    notes = [f"{others} pictures in folders of other names are left out"] if others else []
    notes.append("the paper's figure is of its own set, which is not public")
    return judged(contestant, samples, protocol="emotion-folders", title="Emotion, a folder a class", notes=notes)
