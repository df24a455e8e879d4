from importlib import import_module

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "dager_site"

    def ready(self) -> None:
        import_module("dager_site.sign_in")  # its receivers listen from now on; models are there only now
