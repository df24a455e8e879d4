"""What the engine does about one attribute, in order: whom to believe, what is likely, what to accept, what to ask."""

from datetime import datetime, timedelta

from django.db.models import Max
from django.utils import timezone

from annotation import (
    certificates,
    contradictions,
    doubts,
    estimates,
    lifetimes,
    live_settings,
    proposals,
    reliabilities,
    routing,
    votes,
)
from annotation.models import Calibration, Decision, Photo, Proposal, Thought, Vote
from inference import registry
from inference.core.attributes import ATTRIBUTES, REAL_AGE, Attribute

LEARN_AT = 1.5  # times the labels that were learnt from before
LEARN_FIRST = 60  # labels more than that before anything is learnt anew
CORRECTED = 0.1  # of the labels that were learnt from turned out to be others: all is learnt anew
COME_IN = 0.05  # of all faces, before an age is believed of those that come in
EVERY = 25  # votes after which the engine thinks again
PATIENCE = timedelta(seconds=30)  # with fewer: a decision, or new faces
CLAIM = timedelta(minutes=10)


def asked() -> list[Attribute]:
    """The attributes that people are asked about here, and ages: what can be believed of these is learnt anyway."""
    return [each for each in ATTRIBUTES.values() if each.name in live_settings.get("ASKED") or each.in_years]


def behind(wanted: Attribute, now: datetime | None = None) -> bool:
    """Whether enough was said, decided or taken in since the engine last thought about an attribute."""
    now = now or timezone.now()
    last = Thought.objects.filter(attribute=wanted.name).first()
    if last is None and wanted == REAL_AGE and Decision.objects.exists():
        return True
    if last is None:
        return Proposal.objects.filter(attribute=wanted.name).exists()
    if last.claimed_until is not None and last.claimed_until > now:
        return False
    held = proposals.latest(wanted)
    if held is not None and _of_other_models(wanted, held):
        return True
    heard, decisions = _seen(wanted)
    if heard >= last.votes + EVERY:
        return True
    return (
        proposals.fresh(wanted).exists()
        or heard > last.votes
        or decisions > last.decisions
        or (wanted == REAL_AGE and lifetimes.answered(last.at - lifetimes.OVERLAP).exists())
    ) and last.at + PATIENCE <= now


def keep_up(wanted: Attribute, now: datetime | None = None) -> bool:
    """Think about an attribute, unless somebody else does. Returns whether it was thought about."""
    now = now or timezone.now()
    heard, decisions = _seen(wanted)
    Thought.objects.get_or_create(attribute=wanted.name, defaults={"at": now})
    free, until = Thought.objects.filter(attribute=wanted.name).exclude(claimed_until__gt=now), now + CLAIM
    if not free.update(claimed_until=until):
        return False
    done = {}
    try:
        think(wanted, since=Thought.objects.get(attribute=wanted.name).decisions)
        done = {"votes": heard, "decisions": decisions}
    finally:
        # Whoever took longer than their claim leaves that of the next one alone.
        # What was said meanwhile was not thought about: it counts from the beginning.
        Thought.objects.filter(attribute=wanted.name, claimed_until=until).update(claimed_until=None, at=now, **done)
    return True


def _seen(wanted: Attribute) -> tuple[int, int]:
    heard = Vote.objects.filter(attribute=wanted.name).aggregate(last=Max("pk"))["last"] or 0
    return heard, Decision.objects.aggregate(last=Max("pk"))["last"] or 0


def think(wanted: Attribute, *, since: int = 0) -> Calibration | None:
    """Bring everything about an attribute up to date; nothing without a face that it is proposed for.

    `since` is the last line of the ledger that was thought about before.
    """
    if wanted == REAL_AGE:
        lifetimes.keep_up(since)
    if not Proposal.objects.filter(attribute=wanted.name).exists():
        return None
    if wanted.in_years:
        return _think_of_years(wanted, since)
    reliabilities.learn(wanted)
    if wanted.of_identity:
        votes.follow_people(wanted)
    votes.settle_clear(wanted)
    held = _believe(wanted, since)
    certificates.review(wanted, held)
    routing.route(wanted, held)
    doubts.ask(wanted)
    if wanted.of_identity:
        contradictions.ask(wanted)
    return held


def _think_of_years(wanted: Attribute, since: int) -> Calibration:
    """No certificate accepts an age: dates or ten guesses give it. What is believed is there to be seen."""
    held = _believe(wanted, since)
    if wanted == REAL_AGE:
        estimates.ask()
    elif wanted.name in live_settings.get("ASKED"):
        reliabilities.learn(wanted)
        routing.ask_years(wanted)
    return held


def _believe(wanted: Attribute, since: int) -> Calibration:
    """Bring the beliefs up to date: all of them once enough was learnt, else those that rest on what has changed."""
    held = proposals.latest(wanted)
    if held is None or _learnt_enough(wanted, held):
        if held is not None and not wanted.in_years:
            certificates.review(wanted, held)  # the last audits count before the thresholds move
        return proposals.learn(wanted)
    if proposals.outdate(wanted, since) or _to_be_heard(wanted):
        return proposals.learn(wanted, refit=False)
    return held


def _to_be_heard(wanted: Attribute) -> bool:
    """Whether fresh faces are to be fused now: of ages, while photos come in, only once they are a share of all.

    To hear a few takes as long as to hear all, and nobody is asked because of what an age is believed to be.
    """
    fresh = proposals.fresh(wanted)
    if not wanted.in_years or not Photo.objects.without_faces_sought().exists():
        return fresh.exists()
    return fresh.count() >= max(1, COME_IN * Proposal.objects.filter(attribute=wanted.name).count())


def _of_other_models(wanted: Attribute, held: Calibration) -> bool:
    """Whether another backbone, or another network for the attribute, is live by now."""
    network = registry.network_of(wanted.name)
    return held.version_id != registry.ensure_live().pk or held.network_id != (network and network.pk)


def _learnt_enough(wanted: Attribute, held: Calibration) -> bool:
    if _of_other_models(wanted, held) or tuple(held.sources) != proposals.SOURCES:
        return True
    first = held.answers < routing.ENOUGH <= len(votes.control_known(votes.known_of(wanted)))
    more = proposals.labels_known(wanted) >= LEARN_AT * held.learnt_from + LEARN_FIRST
    others = len(proposals.corrected(wanted, held.decisions_seen)) >= max(LEARN_FIRST, CORRECTED * held.learnt_from)
    return first or more or others
