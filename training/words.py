"""What states, presets and benchmarks are called, where translators look; pages translate what they show."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as later

# What the script of a training's page says.
RUN: dict[str, str | Promise] = {
    "after_epoch": later("{value} after epoch {epoch}"),
    "by_epoch": later("{title} by epoch: {values}"),
    "epoch": later("epoch {epoch}: {value}"),
    "loss": later("Loss"),
    "validation": later("Validation: {name}"),
    "step": later("Epoch {epoch} of {epochs}, step {step} of {steps}; loss {loss}; {images} images a second."),
    "step_left": later(
        "Epoch {epoch} of {epochs}, step {step} of {steps}; loss {loss}; {images} images a second; about {left} left."
    ),
    "seconds": later("{count} s"),
    "minutes": later("{count} min"),
    "hours": later("{count} h"),
    "waits": later("It waits for a worker."),
    "reads": later("It reads the releases."),
    "lost": later("The line is lost. It goes on once it is back."),
}

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
