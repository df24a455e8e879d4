"""What the engine does about one attribute, in order: whom to believe, what is likely, what to accept, what to ask."""

from annotation import certificates, proposals, reliabilities, routing
from annotation.models import Calibration, Proposal
from inference.core.attributes import Attribute

LEARN_AT = 1.5  # times the labels that were learnt from before
LEARN_FIRST = 60  # control answers, and labels, that the first calibration waits for


def think(attribute: Attribute) -> Calibration | None:
    """Bring everything about an attribute up to date; nothing without a face that it is proposed for."""
    if not Proposal.objects.filter(attribute=attribute.name).exists():
        return None
    reliabilities.learn(attribute)
    held = proposals.latest(attribute)
    if held is None or _learnt_enough(attribute, held):
        if held is not None:
            certificates.review(attribute, held)  # the last audits count before the thresholds move
        held = proposals.learn(attribute)
    elif Proposal.objects.filter(attribute=attribute.name, calibration=None).exists():
        held = proposals.learn(attribute, refit=False)
    certificates.review(attribute, held)
    routing.route(attribute, held)
    return held


def _learnt_enough(attribute: Attribute, held: Calibration) -> bool:
    return proposals.labels_known(attribute) >= LEARN_AT * held.learnt_from + LEARN_FIRST
