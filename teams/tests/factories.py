"""Rows of the teams app for tests, each valid with no arguments."""

from datetime import UTC, datetime, timedelta

import factory
from django.utils import timezone

from teams.enums import Role
from teams.models import (
    Calendar,
    CalendarFeed,
    Fallback,
    HandOverNote,
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

PASSWORD = "a lamp in the harbour"


class UserFactory(factory.django.DjangoModelFactory):
    """A person who signs in with PASSWORD. `UserFactory(name="ana")` also has the address ana@example.org."""

    class Meta:
        model = User

    name = factory.Sequence(lambda n: f"Person {n}")
    email = factory.LazyAttribute(lambda user: f"{user.name.lower().replace(' ', '.')}@example.org")
    password = factory.django.Password(PASSWORD)


class TeamFactory(factory.django.DjangoModelFactory):
    """A team; `managers`, `responders` and `observers` are lists of its people."""

    class Meta:
        model = Team
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Team {n}")

    @factory.post_generation
    def managers(self, create, extracted, **kwargs):
        add_members(self, extracted, Role.MANAGER)

    @factory.post_generation
    def responders(self, create, extracted, **kwargs):
        add_members(self, extracted, Role.RESPONDER)

    @factory.post_generation
    def observers(self, create, extracted, **kwargs):
        add_members(self, extracted, Role.OBSERVER)


def add_members(team, users, role):
    for user in users or []:
        MembershipFactory(team=team, user=user, role=role)


class MembershipFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Membership

    team = factory.SubFactory(TeamFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.RESPONDER


class ServiceFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Service

    team = factory.SubFactory(TeamFactory)
    name = factory.Sequence(lambda n: f"Service {n}")


class ServiceDependencyFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = ServiceDependency

    service = factory.SubFactory(ServiceFactory)
    upstream = factory.SubFactory(ServiceFactory)


class ScheduleFactory(factory.django.DjangoModelFactory):
    """A schedule without layers; with `on_call=[ana, bo]` those take weekly turns, ana first, since 2025."""

    class Meta:
        model = Schedule
        skip_postgeneration_save = True

    team = factory.SubFactory(TeamFactory)
    name = factory.Sequence(lambda n: f"Schedule {n}")

    @factory.post_generation
    def on_call(self, create, extracted, **kwargs):
        if extracted:
            LayerFactory(schedule=self, participants=extracted, **kwargs)


class LayerFactory(factory.django.DjangoModelFactory):
    """Weekly turns since Monday 6 January 2025, 09:00 UTC; `participants` are people, in order, or lists of those who
    are on together."""

    class Meta:
        model = Layer
        skip_postgeneration_save = True

    schedule = factory.SubFactory(ScheduleFactory)
    position = factory.LazyAttribute(lambda layer: layer.schedule.layers.count())
    starts_at = datetime(2025, 1, 6, 9, tzinfo=UTC)

    @factory.post_generation
    def participants(self, create, extracted, **kwargs):
        for position, place in enumerate(extracted or []):
            for seat, user in enumerate(place if isinstance(place, list) else [place]):
                Participant.objects.create(layer=self, user=user, position=position, seat=seat)


class OverrideFactory(factory.django.DjangoModelFactory):
    """For the hour that has just begun, unless told otherwise."""

    class Meta:
        model = Override

    schedule = factory.SubFactory(ScheduleFactory)
    user = factory.SubFactory(UserFactory)
    starts_at = factory.LazyFunction(timezone.now)
    ends_at = factory.LazyAttribute(lambda override: override.starts_at + timedelta(hours=1))


class FallbackFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Fallback

    schedule = factory.SubFactory(ScheduleFactory)
    user = factory.SubFactory(UserFactory)
    in_force_at = factory.LazyFunction(timezone.now)


class CalendarFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Calendar

    schedule = factory.SubFactory(ScheduleFactory)
    url = factory.Sequence(lambda n: f"https://calendar.example.org/{n}.ics")


class ShiftSwapFactory(factory.django.DjangoModelFactory):
    """Tomorrow's hour, asked of anybody."""

    class Meta:
        model = ShiftSwap

    schedule = factory.SubFactory(ScheduleFactory)
    asker = factory.SubFactory(UserFactory)
    starts_at = factory.LazyFunction(lambda: timezone.now() + timedelta(days=1))
    ends_at = factory.LazyAttribute(lambda swap: swap.starts_at + timedelta(hours=1))
    expires_at = factory.SelfAttribute("starts_at")


class HandOverNoteFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = HandOverNote

    schedule = factory.SubFactory(ScheduleFactory)
    author = factory.SubFactory(UserFactory)
    text = "The disk of db-2 is nearly full."


class CalendarFeedFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = CalendarFeed

    user = factory.SubFactory(UserFactory)
    token_hash = factory.Sequence(lambda n: CalendarFeed.hash_token(f"token {n}"))


class NoticeFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Notice

    user = factory.SubFactory(UserFactory)
    key = factory.Sequence(lambda n: f"key {n}")
    subject = "A shift begins"
    text = "Soon."
    path = "/on-call/"
    due_at = factory.LazyFunction(timezone.now)
    void_at = factory.LazyFunction(lambda: timezone.now() + timedelta(hours=1))
