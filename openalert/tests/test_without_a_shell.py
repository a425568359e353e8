"""What people configure has a form in the admin or a page: nothing that is changed with care needs a shell.

docs/admin.md tells the same in words, and is held against this.
"""

from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.urls import get_resolver

from openalert.admin_access import TabularInline
from openalert.admin_tools import RecordAdmin, RecordInline
from openalert.audit.tracking import tracked_models

# By model that has no form in the admin: the route of the page where it is changed.
PAGES = {
    "alerts.integrationrule": "integration-rules",
    "alerts.maintenanceseries": "maintenance-series",
    "incidents.actionitem": "action-item",
    "incidents.incidentlink": "incident-links",
    "incidents.incidenttask": "incident-tasks",
    "incidents.postmortem": "postmortem",
    "incidents.roleassignment": "incident-role",
    "incidents.savedfilter": "filter-save",
    "incidents.stakeholder": "incident-subscribers",
    "incidents.statusupdate": "incident-updates",
    "incidents.subscription": "incident-subscribe",
    "teams.apitoken": "api-tokens",
    "teams.calendar": "layer",
    "teams.calendarfeed": "feed-new",
    "teams.fallback": "schedule-edit",
    "teams.handovernote": "note-new",
    "teams.layer": "layer",
    "teams.override": "override-new",
    "teams.participant": "layer",
    "teams.shiftswap": "swap-new",
}
NOWHERE = {"auth.group": "Django's groups of permissions: roles decide here, nobody is in one"}


def has_form(model):
    registered = admin.site._registry.get(model)
    if registered is not None and not isinstance(registered, RecordAdmin):
        return True
    inlines = [inline for page in admin.site._registry.values() for inline in page.inlines]
    return any(
        inline.model is model and issubclass(inline, TabularInline) and not issubclass(inline, RecordInline)
        for inline in inlines
    )


def test_every_configurable_model_has_a_form_a_page_or_a_reason():
    without = {model._meta.label_lower for model in tracked_models() if not has_form(model)}
    assert without - set(PAGES) - set(NOWHERE) == set()
    routes = get_resolver().reverse_dict
    assert {route for route in PAGES.values() if route not in routes} == set()


def test_the_docs_tell_what_has_no_form_in_the_admin():
    text = (Path(settings.BASE_DIR) / "docs" / "admin.md").read_text()
    told = text.partition("## What can be set without a shell")[2].partition("\n## ")[0].lower()
    names = {label: str(apps.get_model(label)._meta.verbose_name_plural) for label in PAGES | NOWHERE}
    assert {label for label, name in names.items() if name.lower() not in told} == set()
