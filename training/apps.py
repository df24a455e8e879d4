from importlib import import_module

from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"

    def ready(self) -> None:
        import_module("training.runs")  # it listens for erasures, in whichever process one is carried out
