"""Doing what a plan says: all of it or nothing."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from notifications import contacts
from openalert import audit
from teams import invitations
from teams.models import Membership, User

from .plan import Outcome, Plan, make_plan
from .sheet import Sheet

BATCH = 500


class PlanChanged(Exception):
    """What was looked at is no longer what would be done. Nothing was written."""


@transaction.atomic
def take_over(sheet: Sheet, *, by: User, digest: str, name: str) -> Plan:
    """Write what the plan with the digest says. `name` is the file's. A second time changes nothing.

    Raises PlanChanged when somebody has changed the same people, teams or roles since, or it refuses a row.
    """
    plan = make_plan(sheet, by=by, locks=True)
    if plan.digest != digest or plan.of(Outcome.REFUSED):
        raise PlanChanged
    try:
        with transaction.atomic():
            _write(plan)
    except IntegrityError as error:  # the same file twice at once: the other one was quicker
        raise PlanChanged from error
    counts = plan.counts
    audit.record("people_imported", file=name[:200], made=counts["made"], changed=counts["changed"])
    return plan


def _write(plan: Plan) -> None:
    now = timezone.now()
    made, changed = plan.of(Outcome.MADE), [entry for entry in plan.of(Outcome.CHANGED) if entry.fields]
    for entry in [*made, *changed]:
        entry.user.settle_activity()
    audit.created_all(User.objects.bulk_create([entry.user for entry in made], batch_size=BATCH))
    invitations.invite([entry.user for entry in made])
    if fields := set().union(*(entry.fields for entry in changed)):
        for entry in changed:
            entry.user.updated_at = now
        fields |= {"inactive_since_at", "updated_at"}
        User.objects.bulk_update([entry.user for entry in changed], sorted(fields), batch_size=BATCH)
        audit.changed_all((entry.before, entry.user) for entry in changed if entry.before)
    entries = plan.entries
    memberships = [row for entry in entries for row in entry.new_memberships]
    audit.created_all(Membership.objects.bulk_create(memberships, batch_size=BATCH))
    pairs = [pair for entry in entries for pair in entry.changed_memberships]
    for _, row in pairs:
        row.updated_at = now
    Membership.objects.bulk_update([row for _, row in pairs], ["role", "updated_at"], batch_size=BATCH)
    audit.changed_all(pairs)
    contacts.add_methods([method for entry in entries for method in entry.new_methods])
