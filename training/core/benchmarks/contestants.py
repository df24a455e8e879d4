"""Who is judged: what ships, or what a user brings as a bundle."""

from collections.abc import Callable
from pathlib import Path

from inference.core import bundle
from inference.core.attributes import APPARENT_AGE, ATTRIBUTES, EMOTION, GENDER, REAL_AGE, Attribute
from inference.core.cold_attributes import cold_age, cold_emotion, cold_gender
from inference.core.types import AttributeModel
from training.core.benchmarks.heads import LinearHead
from training.core.benchmarks.networks import whole_network
from training.core.benchmarks.protocol import Contestant, FineTune

CAUTIONS = {
    "mini-Xception": "mini-Xception learnt from FER2013's training part: on that part, so on FER+'s, it is too good",
    "dlib age v1": "what dlib age v1 learnt from is not known here: faces of this set may be among it",
    "dlib gender v1": "what dlib gender v1 learnt from is not known here: faces of this set may be among it",
}
LINEAR = "linear"
AGES = {REAL_AGE.name, APPARENT_AGE.name}


def contestant(
    embedder: Path | None = None,
    model: Path | None = None,
    fine_tune: str = LINEAR,
    learns: Attribute | None = None,
    tick: Callable[[int, int], None] = lambda done, of: None,
) -> Contestant:
    """The backbone and the attribute's network of these bundles, and for all else what ships.

    A network of one kind of age takes the place of the other, too. What learns is a linear head on the backbone, or, by
    one of the training's presets, a whole network for the attribute `learns`. Raises BadBundle, UnusableBackbone,
    BadConfig.
    """
    backbone = bundle.load(embedder) if embedder else bundle.cold_start()
    opened = bundle.open_embedder(backbone)
    models: dict[str, AttributeModel] = {
        GENDER.name: cold_gender(),
        APPARENT_AGE.name: cold_age(),
        EMOTION.name: cold_emotion(),
    }
    names = {GENDER.name: "dlib gender v1", APPARENT_AGE.name: "dlib age v1", EMOTION.name: "mini-Xception"}
    brought = bundle.load(model) if model else None
    if brought:
        for name in AGES if brought.task in AGES else ():
            models.pop(name, None)
        models[brought.task], names[brought.task] = bundle.open_attribute_model(brought), brought.name
    learner: FineTune = LinearHead(opened, backbone.name)
    if fine_tune != LINEAR and learns is not None:
        learner = whole_network(fine_tune, learns)
    told = ATTRIBUTES[brought.task] if brought else None
    return Contestant(opened, backbone.name, models, names, learner, tick, CAUTIONS, told)
