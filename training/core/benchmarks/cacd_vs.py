"""CACD-VS (Chen, Chen, Hsu, 2015): 4,000 pairs across many years of age, in ten folds that share no person.

    CACD_VS/0000_0.jpg, 0000_1.jpg, …, 3999_1.jpg     or the pictures in the folder itself

Assumed, as its readme says: of each fold's 400 pairs the first 200 are one person, the other 200 two.
"""

from pathlib import Path

from training.core.benchmarks.protocol import Contestant, NotMeasured, Outcome
from training.core.benchmarks.published import PUBLISHED
from training.core.benchmarks.verification import Pair, verify

PAIRS, FOLD, SAME = 4_000, 400, 200


def read(folder: Path) -> list[Pair]:
    """Raises NotMeasured unless all pairs are there."""
    inside = folder / "CACD_VS" if (folder / "CACD_VS").is_dir() else folder
    if not (inside / "0000_0.jpg").is_file():
        raise NotMeasured(f"{folder} holds no CACD_VS/0000_0.jpg.")
    return [
        Pair(inside / f"{n:04d}_0.jpg", inside / f"{n:04d}_1.jpg", same=n % FOLD < SAME, fold=n // FOLD)
        for n in range(PAIRS)
    ]


def run(folder: Path, contestant: Contestant) -> Outcome:
    found = verify(contestant, read(folder))
    return Outcome(
        protocol="cacd-vs",
        title="CACD-VS",
        columns=("accuracy",),
        ours=(found.ours,),
        published=PUBLISHED["cacd-vs"],
        faces=found.faces,
        scores=found.scores,
    )
