"""Two real photos: one person or two."""

from pathlib import Path

import pytest

from inference.verify import verify
from training.core.benchmarks.lfw import read

pytestmark = [pytest.mark.django_db, pytest.mark.realdata]


def test_real_pairs_are_told_apart_and_the_surer_the_verdict_the_rarer_it_errs(shared_data: Path):
    pairs = read(shared_data / "lfw")
    chosen = [pair for pair in pairs if pair.same][:6] + [pair for pair in pairs if not pair.same][:6]

    found = [verify(pair.one.read_bytes(), pair.other.read_bytes()).verdict for pair in chosen]

    wrong = [verdict for verdict, pair in zip(found, chosen, strict=True) if verdict.same != pair.same]
    assert len(wrong) <= 1
    assert all(each.chance_of_error > 0.05 for each in wrong)
