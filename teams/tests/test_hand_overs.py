"""Who comes on call is told, once; notes at the hand-over; how notices are sent."""

import smtplib
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext

from openalert.exceptions import PermissionMissing
from teams import hand_overs, notices, rotations, signals
from teams.exceptions import NotYours
from teams.models import HandOverNote, Notice
from teams.tests.cast import Cast
from teams.tests.factories import (
    HandOverNoteFactory,
    LayerFactory,
    NoticeFactory,
    OverrideFactory,
    ScheduleFactory,
    TeamFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
MONDAY = datetime(2026, 3, 9, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def mail_server(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def people(db):
    return [UserFactory(name=name, time_zone="Europe/Berlin") for name in ("ana", "bo")]


@pytest.fixture
def schedule(clock, people):
    return ScheduleFactory(team=TeamFactory(responders=people), name="First line", on_call=people)


def told():
    return sorted(Notice.objects.values_list("user__name", "subject"))


def test_whoever_comes_on_call_is_told_an_hour_before_and_once(schedule, clock):
    HandOverNoteFactory(schedule=schedule)
    clock.set(MONDAY - timedelta(minutes=61))
    hand_overs.give_notices()
    assert told() == []
    clock.advance(minutes=2)
    for _ in range(3):
        hand_overs.give_notices()
        clock.advance(minutes=1)
    assert len(told()) == 1
    notice = Notice.objects.get()
    assert notice.subject == "You go on call for First line in 59 min"
    assert notice.text.startswith(
        "From Mon 09 Mar, 10:00, until Mon 16 Mar, 10:00 (Europe/Berlin) you are on call for First line."
    )
    assert "The disk of db-2 is nearly full." in notice.text


def test_those_who_go_on_are_not_told(clock, people):
    ana, bo = people
    schedule = ScheduleFactory(team=TeamFactory(responders=people))
    LayerFactory(schedule=schedule, participants=[[ana], [ana, bo]])
    clock.set(MONDAY - timedelta(minutes=30))
    hand_overs.give_notices()
    assert {name for name, _ in told()} <= {"bo"}


def test_a_shift_by_an_override_that_begins_soon_is_told(schedule, people, clock):
    on_now = people[0] if MONDAY.isocalendar().week % 2 else people[1]
    OverrideFactory(
        schedule=schedule, user=UserFactory(name="cy"), starts_at=clock.now + timedelta(minutes=10)
    )
    hand_overs.give_notices()
    assert told() == [("cy", "You go on call for First line in 10 min")]
    clock.advance(minutes=30)
    hand_overs.give_notices()  # who had the shift before takes it up again when the override ends
    assert len(told()) == 2 and on_now


def test_gaps_and_fallbacks_are_no_trouble(clock, people):
    schedule = ScheduleFactory(team=TeamFactory(responders=people))
    LayerFactory(schedule=schedule, participants=[people[0]], ends_at=clock.now + timedelta(minutes=20))
    rotations.set_fallback(schedule_id=schedule.pk, user=people[1])
    ScheduleFactory()
    hand_overs.give_notices()
    assert [name for name, _ in told()] == ["bo"]


def test_telling_takes_the_same_queries_however_many_schedules(clock, people):
    ScheduleFactory(on_call=people)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            hand_overs.give_notices()
        counts.append(len(captured))
        ScheduleFactory(on_call=people)
        ScheduleFactory(on_call=people)
    assert counts[0] == counts[1]


# Notices


def test_a_notice_is_sent_once_and_shown_on_open_pages(clock):
    shown = []

    def show(notices, **kwargs):
        shown.extend(notices)

    signals.notices_given.connect(show)
    try:
        notice = NoticeFactory()
        assert (notices.send_due(), notices.send_due()) == (1, 0)
    finally:
        signals.notices_given.disconnect(show)
    notice.refresh_from_db()
    assert (shown, notice.sent_at, notice.due_at) == ([notice], clock.now, None)
    assert [message.subject for message in mail.outbox] == ["A shift begins"]
    assert "/on-call/" in mail.outbox[0].body


def test_a_notice_with_a_key_that_is_there_is_not_given_again(clock):
    user = UserFactory()
    for subject in ("One", "Two"):
        notices.give([notices.notice(user, key="same", subject=subject, text="", path="/")])
    assert Notice.objects.get().subject == "One"


def test_a_mail_server_that_does_not_take_it_is_asked_again_but_not_for_ever(clock, monkeypatch):
    notice = NoticeFactory(void_at=clock.now + timedelta(days=1))

    def refuse(self, *args, **kwargs):
        raise smtplib.SMTPServerDisconnected("away")

    monkeypatch.setattr("django.core.mail.EmailMessage.send", refuse)
    tries = 0
    for _ in range(200):
        tries += notices.send_due()
        clock.advance(minutes=1)
    notice.refresh_from_db()
    assert (tries, notice.due_at, notice.sent_at, notice.failure) == (4, None, None, "away")


def test_what_comes_too_late_or_to_somebody_inactive_is_not_sent(clock):
    NoticeFactory(void_at=clock.now)
    NoticeFactory(user=UserFactory(is_active=False))
    assert notices.send_due() == 2
    assert mail.outbox == []
    assert not Notice.objects.filter(due_at__isnull=False).exists()


# Notes


def test_responders_leave_notes_and_authors_and_managers_remove_them(clock):
    cast = Cast()
    schedule = ScheduleFactory(team=cast.team)
    note = hand_overs.write_note(schedule=schedule, text="Watch db-2.", by=cast.responder)
    assert hand_overs.last_note(schedule.pk, at=clock.now) == note
    for user in (cast.observer, cast.outsider):
        with pytest.raises(PermissionMissing):
            hand_overs.write_note(schedule=schedule, text="?", by=user)
        with pytest.raises(NotYours):
            hand_overs.remove_note(note=note, by=user)
    hand_overs.remove_note(note=note, by=cast.manager)
    hand_overs.remove_note(note=note, by=cast.responder)
    assert not HandOverNote.objects.exists()


def test_a_note_of_last_month_is_not_shown(clock):
    note = HandOverNoteFactory()
    assert hand_overs.last_note(note.schedule_id, at=clock.now + timedelta(days=31)) is None
    assert hand_overs.last_notes([note.schedule], at=clock.now) == {note.schedule_id: note}
