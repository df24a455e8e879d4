"""What states, presets and benchmarks are called, where translators look; pages translate what they show."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as later

CHOICES: tuple[str | Promise, ...] = (
    later("Waiting"), later("Running"), later("Stopped"), later("Done"), later("Failed"),
    later("somebody asked"), later("enough new labels"), later("certificates short of coverage"), later("it was time"),
    later("Refused"), later("Preparing"), later("Live"), later("Replaced"), later("rolled back"),
    later("Quick"), later("Full"),
    later("LFW, View 2: ten folds of pairs"),
    later("CACD-VS: pairs across ages, ten folds"),
    later("Adience: age in eight groups, five folds"),
    later("Adience: gender, one network"),
    later("Adience: the same, nearly frontal faces only"),
    later("Images of Groups: age in seven groups"),
    later("ChaLearn LAP 2015: apparent age"),
    later("ChaLearn LAP 2016: apparent age"),
    later("real age on a table of one's own"),
    later("FG-NET: age, one person left out"),
    later("FER2013: seven emotions"),
    later("FER+: seven emotions by votes"),
    later("CK+: seven emotions, people apart"),
    later("seven emotions, a folder a class"),
)  # fmt: skip
