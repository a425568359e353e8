"""The administrator's pages for people and what they own."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from openalert import admin_roles, admin_tools
from openalert.admin_tools import (
    ModelAdmin,
    RecordAdmin,
    RecordInline,
    TabularInline,
    UserChangeForm,
    list_link,
)
from openalert.exceptions import OpenAlertError

from . import dependencies, invitations, oncall, queries, rotations, second_factor, service_checks
from .admin_coverage import ScheduleActions
from .admin_layers import LayerInline
from .admin_turns import LayerActions
from .exceptions import NotAResponder
from .identity import lock_out
from .models import (
    Calendar,
    CalendarFeed,
    GroupMapping,
    HandOverNote,
    Identity,
    Layer,
    Membership,
    Notice,
    Override,
    Participant,
    Schedule,
    Service,
    ServiceDependency,
    ShiftSwap,
    Team,
    User,
)
from .sign_in_forms import AdminPasswordForm

admin.site.site_header = admin.site.site_title = "OpenAlert"
admin.site.index_title = "Administration"
admin.site.unregister(Group)


class UserCreationForm(admin_tools.UserCreationForm):
    class Meta:
        model = User
        fields = ("email", "name")


class MembershipInline(TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ("team", "user")


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    add_form = UserCreationForm
    form = UserChangeForm
    change_password_form = AdminPasswordForm
    change_user_password_template = "admin/teams/user/change_password.html"  # noqa: S105 (a path)
    actions = ("send_invitation", "lift_lock_out", "reset_second_factor")
    ordering = ("name", "email")
    list_display = (
        "name",
        "email",
        "job_title",
        "team_names",
        "time_zone",
        "is_active",
        "is_superuser",
        "last_login",
    )
    list_display_links = ("name", "email")
    list_filter = ("is_active", "is_superuser", "is_auditor", "teams")
    search_fields = ("name", "email", "phone", "job_title")
    readonly_fields = ("last_login", "created_at", "updated_at", "factor_state", "failed_sign_ins")
    filter_horizontal = ()
    inlines = (MembershipInline,)
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Person", {"fields": ("name", "job_title", "phone", "time_zone")}),
        ("Access", {"fields": ("is_active", "is_superuser", "is_auditor")}),
        (
            "Record",
            {"fields": ("last_login", "factor_state", "failed_sign_ins", "created_at", "updated_at")},
        ),
    )
    add_fieldsets = (
        (
            None,
            {"classes": ("wide",), "fields": ("email", "name", "usable_password", "password1", "password2")},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("teams")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        may_import = admin_roles.may(request.user, "change", Membership)
        return super().changelist_view(request, {**(extra_context or {}), "may_import": may_import})

    def save_model(self, request: HttpRequest, obj: User, form: forms.ModelForm, change: bool) -> None:
        obj.is_staff = (
            obj.is_superuser
        )  # what a person may do here is decided by roles: openalert.admin_roles
        super().save_model(request, obj, form, change)
        if not change and invitations.invite([obj]):
            self.message_user(request, f"{obj} is mailed a link to choose a password.")

    @admin.display(description="teams")
    def team_names(self, user: User) -> str:
        return ", ".join(team.name for team in user.teams.all())

    @admin.display(description="second factor")
    def factor_state(self, user: User) -> str:
        factor = second_factor.factor_of(user)
        return f"on, {second_factor.codes_left(factor)} recovery codes left" if factor else "off"

    @admin.display(description="failed sign-ins")
    def failed_sign_ins(self, user: User) -> str:
        return lock_out.state_of(user)

    @admin.action(description="Lift the lock-out", permissions=["change"])
    def lift_lock_out(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        lifted = [str(user) for user in queryset if lock_out.lift(user)]
        self.message_user(request, f"Lifted: {', '.join(lifted)}." if lifted else "Nobody was locked out.")

    @admin.action(description="Send the invitation again", permissions=["change"])
    def send_invitation(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        people = list(queryset)
        invited = invitations.invite_again(people)
        others = [str(user) for user in people if user not in invited]
        if invited:
            self.message_user(
                request, f"They are mailed a link to choose a password: {', '.join(map(str, invited))}."
            )
        if others:
            words = f"Not invited, as they have a password, sign in by the identity provider, or are inactive: {', '.join(others)}."
            self.message_user(request, words, messages.WARNING)

    @admin.action(description="Reset the second factor", permissions=["change"])
    def reset_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        reset = [str(user) for user in queryset if second_factor.reset(user)]
        self.message_user(request, f"Reset: {', '.join(reset)}." if reset else "Nobody of them has one.")


@admin.register(Team)
class TeamAdmin(ModelAdmin):
    list_display = ("name", "time_zone", "member_count", "service_count", "schedule_count")
    search_fields = ("name", "description")
    readonly_fields = ("created_at", "updated_at")
    inlines = (MembershipInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        return (
            super()
            .get_queryset(request)
            .annotate(
                members_found=Count("memberships", distinct=True),
                services_found=Count("services", distinct=True),
                schedules_found=Count("schedules", distinct=True),
            )
        )

    @admin.display(description="people", ordering="members_found")
    def member_count(self, team: Team) -> str:
        return list_link(Membership, team.members_found, team__id__exact=team.pk)

    @admin.display(description="services", ordering="services_found")
    def service_count(self, team: Team) -> str:
        return list_link(Service, team.services_found, team__id__exact=team.pk)

    @admin.display(description="schedules", ordering="schedules_found")
    def schedule_count(self, team: Team) -> str:
        return list_link(Schedule, team.schedules_found, team__id__exact=team.pk)


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):
    list_display = ("user", "team", "role", "from_identity")
    list_editable = ("role",)
    list_per_page = 25  # each has widgets
    list_filter = ("team", "role", "from_identity")
    list_select_related = ("user", "team")
    search_fields = ("user__name", "user__email", "team__name")
    autocomplete_fields = ("user", "team")


@admin.register(Identity)
class IdentityAdmin(ModelAdmin):
    """To join an account with one at the provider is to add a row here."""

    list_display = ("user", "issuer", "subject", "created_at")
    list_select_related = ("user",)
    search_fields = ("user__name", "user__email", "subject")
    autocomplete_fields = ("user",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"issuer": settings.OIDC_ISSUER, **super().get_changeform_initial_data(request)}


@admin.register(GroupMapping)
class GroupMappingAdmin(ModelAdmin):
    list_display = ("group", "team", "role", "installation_role")
    list_filter = ("team", "installation_role")
    list_select_related = ("team",)
    search_fields = ("group", "team__name")
    autocomplete_fields = ("team",)


@admin.register(Service)
class ServiceAdmin(ModelAdmin):
    list_display = ("name", "team", "resolves_with_alerts", "runbook_url")
    list_filter = ("team", "resolves_with_alerts")
    list_select_related = ("team",)
    search_fields = ("name", "description", "team__name")
    autocomplete_fields = ("team",)
    readonly_fields = ("created_at", "updated_at")
    actions = None

    def has_delete_permission(self, request: HttpRequest, obj: Service | None = None) -> bool:
        may = super().has_delete_permission(request, obj)
        return may and (obj is None or not service_checks.obstacles_for(obj))

    def save_model(self, request: HttpRequest, obj: Service, form: forms.ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        for words in service_checks.warnings_for([obj])[obj.pk]:
            self.message_user(request, f"{obj}: {words}", messages.WARNING)


class DependencyForm(forms.ModelForm):
    """A new one is held against all others; see teams.dependencies."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.instance._state.adding and "service" in cleaned and "upstream" in cleaned:
            try:
                dependencies.require_possible(cleaned["service"], cleaned["upstream"])
            except OpenAlertError as failure:
                self.add_error(failure.field, failure.detail)
        return cleaned


@admin.register(ServiceDependency)
class ServiceDependencyAdmin(ModelAdmin):
    form = DependencyForm
    list_display = ("service", "upstream", "correlation", "window_minutes")
    list_filter = ("correlation", "service__team")
    list_select_related = ("service", "upstream")
    search_fields = ("service__name", "upstream__name")
    autocomplete_fields = ("service", "upstream")

    def get_readonly_fields(
        self, request: HttpRequest, obj: ServiceDependency | None = None
    ) -> Sequence[str]:
        return ("service", "upstream") if obj else ()


class OverrideInline(RecordInline):
    """Overrides that are not over; past ones are in their own list."""

    model = Override
    fk_name = "schedule"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Override]:
        return super().get_queryset(request).filter(ends_at__gt=timezone.now()).select_related("user")


class ScheduleForm(forms.ModelForm):
    fallback = forms.ModelChoiceField(
        User.objects.filter(is_active=True), required=False, help_text="Who is on call when nobody else is."
    )

    class Meta:
        model = Schedule
        fields = ("team", "name", "description", "time_zone")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not self.instance._state.adding:
            self.fields["fallback"].initial = self.instance.fallback

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        fallback, team = cleaned.get("fallback"), cleaned.get("team")
        if fallback and team and not queries.responders_of(team).filter(pk=fallback.pk).exists():
            self.add_error("fallback", NotAResponder.detail)
        return cleaned


@admin.register(Schedule)
class ScheduleAdmin(ScheduleActions, ModelAdmin):
    form = ScheduleForm
    list_display = ("name", "team", "time_zone", "on_call_now")
    list_filter = ("team",)
    search_fields = ("name", "description", "team__name")
    autocomplete_fields = ("team",)
    inlines = (LayerInline, OverrideInline)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        return queries.with_rotation(super().get_queryset(request))

    @admin.display(description="on call now")
    def on_call_now(self, schedule: Schedule) -> str:
        return ", ".join(map(str, oncall.on_call(schedule, timezone.now()))) or "nobody"

    def view_on_site(self, schedule: Schedule) -> str:
        return reverse("schedule", args=[schedule.pk])

    def save_model(self, request: HttpRequest, obj: Schedule, form: forms.ModelForm, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in ("team", "name", "description", "time_zone")}
        if change:
            rotations.change_schedule(schedule_id=obj.pk, **values)
            rotations.set_fallback(schedule_id=obj.pk, user=form.cleaned_data["fallback"])
        else:
            made = rotations.create_schedule(**values, fallback=form.cleaned_data["fallback"])
            obj.pk, obj._state.adding = made.pk, False


class ParticipantInline(RecordInline):
    model = Participant
    fields = ("position", "user")


@admin.register(Layer)
class LayerAdmin(LayerActions, RecordAdmin):
    """All versions of all layers."""

    list_display = ("__str__", "position", "rotation", "turn_length", "starts_at", "ends_at", "in_force_at", "replaced_at")  # fmt: skip
    list_filter = ("schedule__team", "rotation")
    list_select_related = ("schedule",)
    search_fields = ("name", "schedule__name")
    inlines = (ParticipantInline,)


@admin.register(Override)
class OverrideAdmin(RecordAdmin):
    """They are added and taken back on the schedule's page: the record of who was on call is not rewritten."""

    list_display = ("schedule", "user", "replaces", "starts_at", "ends_at", "created_by")
    list_filter = ("schedule__team", "schedule")
    list_select_related = ("schedule", "user", "replaces", "created_by")
    search_fields = ("user__name", "schedule__name")
    date_hierarchy = "starts_at"


@admin.register(Calendar)
class CalendarAdmin(RecordAdmin):
    list_display = ("host", "schedule", "fetched_at", "due_at", "failure")
    list_filter = ("schedule__team",)
    list_select_related = ("schedule",)
    search_fields = ("schedule__name",)
    exclude = ("url",)


@admin.register(ShiftSwap)
class ShiftSwapAdmin(RecordAdmin):
    list_display = ("schedule", "asker", "asked", "starts_at", "ends_at", "status", "answered_by")
    list_filter = ("status", "schedule__team")
    list_select_related = ("schedule", "asker", "asked", "answered_by")
    search_fields = ("asker__name", "asked__name", "schedule__name")


@admin.register(HandOverNote)
class HandOverNoteAdmin(RecordAdmin):
    list_display = ("schedule", "author", "created_at")
    list_filter = ("schedule__team",)
    list_select_related = ("schedule", "author")
    search_fields = ("schedule__name", "author__name", "text")


@admin.register(CalendarFeed)
class CalendarFeedAdmin(RecordAdmin):
    list_display = ("user", "schedule", "created_at", "read_at")
    list_select_related = ("user", "schedule")
    search_fields = ("user__name", "schedule__name")


@admin.register(Notice)
class NoticeAdmin(RecordAdmin):
    list_display = ("subject", "user", "created_at", "sent_at", "tries", "failure")
    list_select_related = ("user",)
    search_fields = ("subject", "user__name", "user__email")
    date_hierarchy = "created_at"
