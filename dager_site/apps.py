from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "dager_site"
