"""People who were merged though different things had been said of them: a curator is asked what holds of the one.

Until then the later word holds. The merge may be the mistake, so the reason says whom it joined.
"""

from collections import defaultdict
from collections.abc import Mapping

from annotation.core.batches import batched
from annotation.models import Decision, Identity, Label, Question
from annotation.questions import ask_single, withdraw
from annotation.votes import CANNOT_TELL
from inference.core.attributes import Attribute

CHUNK = 400
MERGED = "merged"
WORTH = 2.0  # it settles all faces of a person, or finds two who are not one


def ask(attribute: Attribute) -> int:
    """Ask about everybody of whom two values stand that were said before they were one. Returns how many are new."""
    of = dict(Identity.objects.filter(merged_into__isnull=False).values_list("pk", "merged_into_id"))
    group = set(of) | set(of.values())
    lines = Decision.objects.standing().filter(attribute=attribute.name, kind=Decision.Kind.VALUE)
    told = defaultdict[int, list[Decision]](list)
    for chunk in batched(sorted(group), CHUNK):
        for line in lines.filter(identity__in=chunk).exclude(value=CANNOT_TELL).select_related("answer"):
            told[of.get(line.identity_id or 0, line.identity_id or 0)].append(line)
    latest = _latest_merges(of)
    disputed = {
        person: said
        for person, said in told.items()
        if len({line.value for line in said}) > 1 and not _settled(said, latest.get(person, 0))
    }
    count = sum(_ask(attribute, person, said) for person, said in sorted(disputed.items()))
    still = Label.objects.filter(identity__in=sorted(disputed)).values("face")
    ours = Question.objects.filter(attribute=attribute.name, state=Question.State.OPEN, reason__kind=MERGED)
    withdraw(ours.exclude(shown__face__in=still))  # those whose merge was undone
    return count


def _latest_merges(of: Mapping[int, int]) -> dict[int, int]:
    """By person, the last line that made somebody one with them."""
    found = dict[int, int]()
    for chunk in batched(sorted(of), CHUNK):
        merges = Decision.objects.standing().filter(kind=Decision.Kind.MERGE, identity__in=chunk)
        for pk, identity in merges.values_list("pk", "identity_id"):
            person = of[identity or 0]
            found[person] = max(pk, found.get(person, 0))
    return found


def _settled(said: list[Decision], merged: int) -> bool:
    """Whether a curator, who saw them as one, has spoken: in a verdict, or on the person's page."""
    return any(
        line.pk > merged
        and (line.evidence.get("verdict") is True or (line.answer is not None and line.answer.question_id is None))
        for line in said
    )


def _ask(attribute: Attribute, person: int, said: list[Decision]) -> int:
    face = Label.objects.filter(identity=person, face__usable=True, face__duplicate_of=None).order_by("face").first()
    if face is None:
        return 0
    new = ask_single(attribute.name, [face.face_id], Question.Purpose.VERDICT, worth=WORTH)
    by_identity = {line.identity_id: line.value for line in sorted(said, key=lambda line: line.pk)}
    said_of = sorted((identity or 0, value) for identity, value in by_identity.items())
    open_ = Question.objects.filter(
        attribute=attribute.name,
        kind=Question.Kind.VALUE,
        purpose=Question.Purpose.VERDICT,
        state=Question.State.OPEN,
        shown__face=face.face_id,
    )
    open_.update(reason={"kind": MERGED, "into": person, "said": said_of})
    return new
