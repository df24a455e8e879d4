"""`manage.py createsuperuser`, as Django has it; that there is another admin is a line of the audit log, too.

A password that the environment gives is held to the same rules as one that is typed, which Django does not do.
"""

import os
from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import transaction

from annotation import accounts
from annotation.models import User


class Command(createsuperuser.Command):
    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        given = "" if options["interactive"] else os.environ.get("DJANGO_SUPERUSER_PASSWORD", "")
        if given:
            named = options["username"] or os.environ.get("DJANGO_SUPERUSER_USERNAME", "")
            try:
                validate_password(given, User(username=named))
            except ValidationError as error:
                raise CommandError(f"DJANGO_SUPERUSER_PASSWORD cannot be: {' '.join(error.messages)}") from error
        before = set(User.objects.values_list("pk", flat=True))
        super().handle(*args, **options)
        for account in User.objects.exclude(pk__in=before):
            accounts.log_made(account, by=None)
