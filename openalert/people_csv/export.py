"""People as a file that `sheet` reads: UTF-8 with a mark, no cell of which a spreadsheet takes for a formula."""

import csv
import io

from django.db.models import Prefetch, QuerySet

from incidents.reports.export import BYTE_ORDER_MARK
from notifications.models import ContactMethod
from openalert import admin_roles
from teams.models import Membership, User

from .plan import OPEN_CHANNELS, role_of
from .sheet import COLUMNS, guarded, joined


def as_csv(people: QuerySet[User], *, by: User) -> str:
    """Of each person what `by` may see: managers learn of their own teams, and of no contact methods."""
    memberships = admin_roles.visible(Membership.objects.select_related("team").order_by("team__name"), by)
    methods = admin_roles.visible(ContactMethod.objects.filter(channel__in=OPEN_CHANNELS), by)
    rows = (
        people.filter(is_service_account=False)
        .order_by("email")
        .prefetch_related(
            Prefetch("memberships", memberships, to_attr="shown_memberships"),
            Prefetch("contact_methods", methods, to_attr="shown_methods"),
        )
    )
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for user in rows:
        cells = {
            "email": user.email,
            "name": user.name,
            "job_title": user.job_title,
            "phone": user.phone,
            "time_zone": user.time_zone,
            "active": "yes" if user.is_active else "no",
            "role": role_of(user),
            "teams": joined([(row.team.name, row.role) for row in user.shown_memberships]),
            "contact_methods": joined([(row.channel, row.address) for row in user.shown_methods]),
        }
        writer.writerow(guarded(cells[column]) for column in COLUMNS)
    return BYTE_ORDER_MARK + file.getvalue()
