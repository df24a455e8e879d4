"""What can go wrong while serving models."""


class NoLiveModel(Exception):
    code = "no_live_model"

    def __init__(self, task: str) -> None:
        super().__init__(f"No model is live for {task}. Run `manage.py up`, or `manage.py promote <bundle folder>`.")


class BadPhoto(Exception):
    """A photo that a client sent and that is not taken: `code` as its refusal has it, `field` where it was sent."""

    def __init__(self, code: str, message: str, field: str) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
