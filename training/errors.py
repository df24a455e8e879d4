"""What can go wrong while training and promoting. Each message says the value, the cause and what to do.

The API and the pages tell the same message, in English: programs and logs read them, so they are not translated.
"""

from typing import Any


class TrainingError(Exception):
    """Anything that a person or a client program can mend."""

    code = "training_error"


class BadTraining(TrainingError):
    """A training that cannot be carried out as asked."""

    code = "bad_training"


class TrainingUnderWay(TrainingError):
    code = "training_under_way"

    def __init__(self, task: str) -> None:
        super().__init__(f"A training of {task} is under way. Wait until it is done, or stop it first.")


class NotPromotable(TrainingError):
    """A model that cannot become the live one; the message says which gate it did not pass."""

    code = "not_promotable"

    def __init__(self, told: str, promotion: Any = None) -> None:
        super().__init__(told)
        self.promotion = promotion  # the row that keeps what the gate saw, where it came that far


class PromotionUnderWay(TrainingError):
    code = "promotion_under_way"

    def __init__(self) -> None:
        super().__init__("Another model is being promoted. Wait until it is live; it takes one look at every face.")
