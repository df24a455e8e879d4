"""What can go wrong while serving models."""


class NoLiveModel(Exception):
    code = "no_live_model"

    def __init__(self, task: str) -> None:
        super().__init__(f"No model is live for {task}. Run `manage.py up`, or `manage.py promote <bundle folder>`.")


class PhotoFailed(Exception):
    """Of many photos one at which the code failed: the log has the traceback, whoever sent it is told no more."""

    code = "photo_failed"

    def __init__(self) -> None:
        super().__init__("The server failed at this photo; its log says why. Send it again, or leave it out.")


class BadPhoto(Exception):
    """A photo that a client sent and that is not taken; `field` is where it was sent.

    Its code is one of these, or that of the photo's refusal.
    """

    CODES = ("missing", "not_base64", "too_many", "no_face")

    def __init__(self, code: str, message: str, field: str) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
