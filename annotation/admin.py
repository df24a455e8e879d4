"""Django's admin: people with their roles, sources, and the ledger to read."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import BooleanField, ModelForm, ModelMultipleChoiceField
from django.http import HttpRequest

from annotation import accounts, intake, tokens
from annotation.errors import AccountRefused
from annotation.models import AccessToken, Decision, Source, User

admin.site.site_header = admin.site.site_title = "DAGER"
admin.site.index_title = "People with an account, sources, ledger"
admin.site.unregister(Group)  # roles do what groups would


class PersonForm(UserChangeForm):
    """Which sources somebody sees is no column here: `accounts.restrict` writes it, and the line of the audit log."""

    some_only = BooleanField(
        required=False,
        label="Some sources only",
        help_text="Sees, is asked about, exports and finds only what came from the sources chosen below.",
    )
    seen = ModelMultipleChoiceField(Source.objects.order_by("name"), required=False, label="Sources")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.initial["some_only"], self.initial["seen"] = self.instance.restricted, list(self.instance.sources.all())

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or {}
        if said.get("some_only") and said.get("role", self.instance.role) == User.Role.ADMIN:
            wrong = "role" if "role" in said else "some_only"  # the role that is refused is not taken over either
            self.add_error(wrong, "An admin sees everything. Give another role, or all sources.")
        if said.get("seen") and not said.get("some_only"):
            self.add_error("some_only", "Tick this, too: without it all sources are seen, not only those chosen.")
        return said


@admin.register(User)
class People(UserAdmin):
    form = PersonForm
    list_display = ["username", "role", "email", "is_active", "last_login"]
    list_filter = ["role", "is_active"]
    fieldsets = [
        (None, {"fields": ["username", "password", "role", "is_active"]}),
        ("What they see", {"fields": ["some_only", "seen"]}),
        ("About", {"fields": ["first_name", "last_name", "email", "last_login", "date_joined"]}),
    ]
    add_fieldsets = [
        (None, {"classes": ["wide"], "fields": ["username", "role", "usable_password", "password1", "password2"]})
    ]
    readonly_fields = ["last_login", "date_joined"]

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        said, by = form.cleaned_data, request.user
        try:
            if change and not said.get("some_only", obj.restricted):  # before the role: an admin sees everything
                accounts.restrict(User.objects.get(pk=obj.pk), None, by=by)  # type: ignore[arg-type]
            accounts.keep(obj, by=by)  # type: ignore[arg-type]  # nobody else comes here
            if said.get("some_only"):
                accounts.restrict(obj, said["seen"], by=by)  # type: ignore[arg-type]
        except AccountRefused as error:
            raise PermissionDenied(str(error)) from error

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Another admin is no lower: that account, and its password, is changed on the server."""
        mine = obj is None or obj == request.user or accounts.outranks(request.user, obj)  # type: ignore[arg-type]
        return mine and super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Nobody raises, lowers or switches off themselves."""
        return [*self.readonly_fields, *(["role", "is_active"] if obj == request.user else [])]

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False  # the ledger keeps who said what; somebody who left is made inactive


@admin.register(Source)
class Sources(admin.ModelAdmin):
    list_display = ["name", "licence", "legal_basis", "rights_stated", "retention_until", "created_at"]
    search_fields = ["name"]
    readonly_fields = ["created_at", "created_by"]

    @admin.display(boolean=True)
    def rights_stated(self, source: Source) -> bool:
        return source.rights_stated

    def save_model(self, request: HttpRequest, obj: Source, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        intake.log_rights(obj, by=request.user)  # type: ignore[arg-type]  # nobody else comes here

    def has_delete_permission(self, request: HttpRequest, obj: Source | None = None) -> bool:
        return False  # its photos, faces and labels would lose where they came from


@admin.register(AccessToken)
class Tokens(admin.ModelAdmin):
    """Whose programs may come in. Made on the page of whoever they act for; here they can only be revoked."""

    list_display = ["name", "owner", "prefix", "scopes", "calls_a_minute", "state", "expires_at", "last_used_at"]
    list_select_related = ["owner"]
    actions = ["revoke"]

    @admin.action(description="Revoke: it opens nothing any more")
    def revoke(self, request: HttpRequest, chosen: QuerySet[AccessToken]) -> None:
        for token in chosen:
            tokens.revoke(token, by=request.user)  # type: ignore[arg-type]  # nobody else comes here

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AccessToken | None = None) -> bool:
        return obj is None and request.user.is_superuser  # the list has an action; a row has nothing to change

    def has_delete_permission(self, request: HttpRequest, obj: AccessToken | None = None) -> bool:
        return False


@admin.register(Decision)
class Ledger(admin.ModelAdmin):
    """To read only: the ledger grows by answers, and is never edited."""

    list_display = ["id", "at", "kind", "person", "by", "face_id", "identity_id", "other_identity_id", "value"]
    list_filter = ["kind", "by"]
    show_full_result_count = False
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Decision]:
        return super().get_queryset(request).select_related("person")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Decision | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Decision | None = None) -> bool:
        return False
