"""Django's admin: people with their roles, sources and tokens, source rights, and the ledger to read.

It is for what has no page of its own; the index leads to those pages. Nothing here goes past what the stages check,
and nothing is deleted: whatever is gone would take along what others rest on.
"""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Max, Q, QuerySet
from django.forms import BooleanField, ModelForm, ModelMultipleChoiceField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from annotation import accounts, intake, reads, sightings, tokens
from annotation.errors import AccountRefused
from annotation.models import AccessToken, Decision, Source, User

admin.site.site_header = "DAGER admin"
admin.site.site_title = "DAGER"
admin.site.index_title = "Admin"
admin.site.unregister(Group)  # roles do what groups would


class Written(admin.ModelAdmin):
    """To read only, however many rows there are."""

    show_full_result_count = False
    ordering = ["-id"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Latest(Paginator):
    """Of millions of rows the latest: who looks for older ones filters. Nobody waits for a count of all."""

    @cached_property
    def count(self) -> int:
        return min(reads.count_up_to_many(self.object_list), reads.MANY)  # type: ignore[arg-type]


def link(name: str, pk: object, text: object) -> SafeString:
    """To the page where it is seen and worked on."""
    return format_html('<a href="{}">{}</a>', reverse(name, args=[pk]), text)


# ---- people with an account


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


class TokensOf(admin.TabularInline):
    """To read: a token is made by whoever it acts for, and revoked in the list of tokens."""

    model = AccessToken
    extra = 0
    fields = ("name", "prefix", "scopes", "calls_a_minute", "state", "expires_at", "last_used_at")
    readonly_fields = fields
    verbose_name_plural = "tokens"

    def has_add_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False


@admin.register(User)
class People(UserAdmin):
    form = PersonForm
    inlines = [TokensOf]
    list_display = ["username", "role", "sees", "valid_tokens", "last_login", "programs", "is_active", "did"]
    list_filter = ["role", "is_active", "restricted", "sources"]
    search_fields = ["username", "first_name", "last_name", "email"]
    ordering = ["username"]
    fieldsets = [
        (None, {"fields": ["username", "password", "role", "is_active"]}),
        ("What they see", {"fields": ["some_only", "seen"]}),
        ("About", {"fields": ["first_name", "last_name", "email", "last_login", "date_joined", "did"]}),
    ]
    add_fieldsets = [
        (None, {"classes": ["wide"], "fields": ["username", "role", "usable_password", "password1", "password2"]})
    ]
    readonly_fields = ["last_login", "date_joined", "did"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        now = timezone.now()
        valid = Q(tokens__revoked_at=None) & (Q(tokens__expires_at=None) | Q(tokens__expires_at__gt=now))
        rows = super().get_queryset(request).prefetch_related("sources")
        return rows.annotate(valid=Count("tokens", filter=valid, distinct=True), used=Max("tokens__last_used_at"))

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list[type[Any]]:
        return list(self.inlines) if obj else []

    @admin.display(description="Sees")
    def sees(self, user: User) -> str:
        if not user.restricted:
            return "all sources"
        return ", ".join(str(source) for source in user.sources.all()) or "nothing"

    @admin.display(description="Valid tokens", ordering="valid")
    def valid_tokens(self, user: User) -> SafeString | int:
        address = f"{reverse('admin:annotation_accesstoken_changelist')}?owner__id__exact={user.pk}"
        return format_html('<a href="{}">{}</a>', address, user.valid) if user.valid else 0  # type: ignore[attr-defined]

    @admin.display(description="Tokens last used", ordering="used")
    def programs(self, user: User) -> Any:
        return user.used  # type: ignore[attr-defined]

    @admin.display(description="What they did")
    def did(self, user: User) -> SafeString | str:
        if not user.pk:
            return ""
        return format_html('<a href="{}?by={}">audit log</a>', reverse("audit"), user.username)

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

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """One's own is changed by whoever knows the old one, on the page for that."""
        if id == str(request.user.pk):
            return redirect("password_change")
        return super().user_change_password(request, id, form_url)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Nobody raises, lowers or switches off themselves."""
        return [*self.readonly_fields, *(["role", "is_active"] if obj == request.user else [])]

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False  # the ledger keeps who said what; somebody who left is made inactive


# ---- sources


class Rights(admin.SimpleListFilter):
    title, parameter_name = "rights", "rights"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("stated", "stated"), ("missing", "not stated"), ("over", "kept too long")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Source]) -> QuerySet[Source]:
        missing = Q(licence="") | Q(legal_basis="")
        match self.value():
            case "stated":
                return queryset.exclude(missing)
            case "missing":
                return queryset.filter(missing)
            case "over":
                return queryset.filter(retention_until__lt=timezone.now().date())
        return queryset


@admin.register(Source)
class Sources(admin.ModelAdmin):
    list_display = ["name", "licence", "legal_basis", "rights_stated", "retention_until", "created_at", "its_page"]
    list_filter = [Rights]
    search_fields = ["name", "licence", "legal_basis"]
    readonly_fields = ["created_at", "created_by", "its_page"]

    @admin.display(boolean=True)
    def rights_stated(self, source: Source) -> bool:
        return source.rights_stated

    @admin.display(description="Photos and intakes")
    def its_page(self, source: Source) -> SafeString | str:
        return link("source", source.pk, "its page") if source.pk else ""

    def save_model(self, request: HttpRequest, obj: Source, form: ModelForm, change: bool) -> None:
        if not change:
            obj.created_by = request.user  # type: ignore[assignment]  # nobody else comes here
        super().save_model(request, obj, form, change)
        intake.log_rights(obj, by=request.user)  # type: ignore[arg-type]

    def has_delete_permission(self, request: HttpRequest, obj: Source | None = None) -> bool:
        return False  # its photos, faces and labels would lose where they came from


# ---- tokens


class StateOfToken(admin.SimpleListFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("valid", "valid"), ("expired", "expired"), ("revoked", "revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AccessToken]) -> QuerySet[AccessToken]:
        over = Q(expires_at__lte=timezone.now())
        match self.value():
            case "valid":
                return queryset.filter(revoked_at=None).exclude(over)
            case "expired":
                return queryset.filter(over, revoked_at=None)
            case "revoked":
                return queryset.exclude(revoked_at=None)
        return queryset


@admin.register(AccessToken)
class Tokens(admin.ModelAdmin):
    """Whose programs may come in. Made on the page of whoever they act for; here they can only be revoked."""

    list_display = ["name", "owner", "prefix", "scopes", "calls_a_minute", "state", "expires_at", "last_used_at"]
    list_filter = [StateOfToken, "owner__role"]
    list_select_related = ["owner"]
    search_fields = ["name", "prefix", "owner__username"]
    exclude = ["hashed"]
    actions = ["revoke"]

    @admin.action(description="Revoke: it opens nothing any more", permissions=["change"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[AccessToken]) -> None:
        for token in chosen:
            tokens.revoke(token, by=request.user)  # type: ignore[arg-type]  # nobody else comes here
        self.message_user(request, f"{len(chosen)} tokens open nothing any more.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AccessToken | None = None) -> bool:
        return obj is None and request.user.is_superuser  # the list has an action; a row has nothing to change

    def has_delete_permission(self, request: HttpRequest, obj: AccessToken | None = None) -> bool:
        return False


# ---- the ledger


def _show(line: Decision) -> None:
    """It tells of these: the audit log is told."""
    people = [pk for pk in (line.identity_id, line.other_identity_id) if pk]
    sightings.show(faces=[line.face_id] if line.face_id else [], people=people)


@admin.register(Decision)
class Ledger(Written):
    """It grows by answers and acts, and is never edited: what is wrong is undone where it was done."""

    list_display = ["id", "at", "kind", "who", "of_face", "of_person", "other_person", "attribute", "value", "undone"]
    list_filter = ["kind", "by", "attribute", ("at", admin.DateFieldListFilter)]
    list_select_related = ["person", "undone_by"]
    search_fields = ["id"]  # `get_search_results` says how
    search_help_text = "The number of a line, a face or a person, or the name of an account"
    paginator = Latest
    sortable_by = ["id"]
    raw_id_fields = ["face", "identity", "other_identity", "answer", "undoes"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Decision], search_term: str
    ) -> tuple[QuerySet[Decision], bool]:
        word = search_term.strip()
        if not word:
            return queryset, False
        if not word.isascii() or not word.isdecimal() or len(word) > 18:
            return queryset.filter(person__username=word), False
        pk = int(word)
        return queryset.filter(Q(pk=pk) | Q(face=pk) | Q(identity=pk) | Q(other_identity=pk)), False

    @admin.display(description="By")
    def who(self, line: Decision) -> str:
        return line.person.username if line.person else line.get_by_display()

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Decision | None:
        line: Decision | None = super().get_object(request, object_id, from_field)
        if line is not None:
            _show(line)
        return line

    @admin.display(description="Face")
    def of_face(self, line: Decision) -> SafeString | str:
        _show(line)
        return link("face", line.face_id, line.face_id) if line.face_id else ""

    @admin.display(description="Person")
    def of_person(self, line: Decision) -> SafeString | str:
        return link("person", line.identity_id, line.identity_id) if line.identity_id else ""

    @admin.display(description="Other person")
    def other_person(self, line: Decision) -> SafeString | str:
        return link("person", line.other_identity_id, line.other_identity_id) if line.other_identity_id else ""

    @admin.display(description="Undone by line")
    def undone(self, line: Decision) -> str:
        return str(line.undone_by.pk) if hasattr(line, "undone_by") else ""
