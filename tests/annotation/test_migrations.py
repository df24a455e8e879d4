"""What a migration makes of rows that an older version wrote."""

from importlib import import_module

import pytest

from annotation.words import against

reasons = import_module("annotation.migrations.0008_reasons_in_any_language")


@pytest.mark.parametrize(
    "sentence",
    [
        "Labelled male by the set that it came with. The models, which have not seen that, say female (99%).",
        "Labelled sad by 1 answer. The models, which have not seen that, say happy (93%).",
        "Labelled sad by 3 answers. The models, which have not seen that, say happy (93%).",
        "The network sees about 80 years, the dates or the record say 30.5: 6.2 times as far apart as is "
        "usual at that age.",
        "Their dates do not fit those of 1 other photo of this person.",
        "Their dates do not fit those of 4 other photos of this person.",
        "Their dates contradict each other.",
        "Merged into person 3 though different things were said of them: person 3 female, person 9 male. If they are "
        "two, undo the merge on their page.",
    ],
)
def test_a_reason_that_was_kept_as_a_sentence_is_told_as_before(sentence: str):
    assert against(reasons.read(sentence)) == sentence


def test_a_question_without_a_reason_has_none_afterwards():
    assert reasons.read("") == {}
    assert against({}) == ""
