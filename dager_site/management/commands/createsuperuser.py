"""`manage.py createsuperuser`, as Django has it; that there is another admin is a line of the audit log, too."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.db import transaction

from annotation import accounts
from annotation.models import User


class Command(createsuperuser.Command):
    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        before = set(User.objects.values_list("pk", flat=True))
        super().handle(*args, **options)
        for account in User.objects.exclude(pk__in=before):
            accounts.log_made(account, by=None)
