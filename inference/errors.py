"""What can go wrong while serving models."""


class NoLiveModel(Exception):
    def __init__(self, task: str) -> None:
        super().__init__(f"No model is live for {task}. Run `manage.py up`, or `manage.py promote <bundle folder>`.")
