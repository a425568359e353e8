"""What pages say: in one SMS where possible, and never more than text of what came with an alert."""

from datetime import timedelta
from xml.etree import ElementTree

import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from incidents.enums import Severity
from notifications import accounts, sms_text
from notifications.enums import Channel
from notifications.hooks import twilio
from notifications.messages import render
from notifications.plain import one_line, printable
from notifications.text_samples import Kind, samples
from notifications.transports import slack
from teams.models import User
from teams.tests.factories import ServiceFactory, TeamFactory, UserFactory

from .factories import ContactMethodFactory, NotificationFactory

GSM_BASIC = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"


# Counting


def test_the_alphabet_has_128_places_less_the_escape():
    assert len(sms_text.GSM_7) == 127 == len(set(GSM_BASIC)) and set(GSM_BASIC) == sms_text.GSM_7


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 80 + "a", "GSM-7", 161, 2),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),  # the € is not cut in two: 152 + 153 + 1
        ("я" * 70, "UCS-2", 70, 1),
        ("я" * 71, "UCS-2", 71, 2),
        ("💥" * 35, "UCS-2", 70, 1),
        ("💥" * 36, "UCS-2", 72, 2),
        ("a" * 69 + "“", "UCS-2", 70, 1),
        ("я" * 66 + "💥" + "я" * 66, "UCS-2", 134, 3),
    ],
)
def test_segments_are_counted_as_networks_do(text, encoding, units, segments):
    assert sms_text.size(text) == sms_text.Size(encoding, units, segments)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("“Über” – naïve… résumé", '"Über" - naive... résumé'),
        ("Kraków → Łódź", "Kraków → Łódź"),  # Ł has no plain form, so nothing is taken away
        ("Kraków", "Krakow"),
        ("Привет “мир”", "Привет “мир”"),
        ("a\x07b\u200bc\td", "abc d"),
        ("x" * 3, "xxx"),
    ],
)
def test_a_text_is_made_plain_if_that_brings_it_into_gsm_7(given, plain):
    assert sms_text.plain(given) == plain


@given(st.text(max_size=400))
def test_the_count_is_never_too_low(text):
    found = sms_text.size(text)
    single, joined = (160, 153) if found.encoding == "GSM-7" else (70, 67)
    assert found.units <= (single if found.segments == 1 else joined * found.segments)


# Pages


def make_page(channel=Channel.SMS, title="Disk full", service="Payments", severity=Severity.CRITICAL):
    method = ContactMethodFactory(
        user=UserFactory(name="Ana Ruiz"),
        channel=channel,
        address="" if channel == Channel.IN_APP else "+14155550123",
    )
    return NotificationFactory(
        user=method.user,
        contact_method=method,
        incident__title=title,
        incident__severity=severity,
        incident__service=ServiceFactory(name=service),
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("title", "encoding"),
    [
        ("Disk full", "GSM-7"),
        ("x" * 1024, "GSM-7"),
        ("{[~]}" * 100, "GSM-7"),
        ("“Überlast” – " * 50, "GSM-7"),
        ("Kafka–Verbraucher hängt\r\n\r\nseit “gestern”", "GSM-7"),
    ],
)
def test_a_page_is_one_text_message(title, encoding):
    page = make_page(title=title)
    text = render(page).text
    size = sms_text.size(text)
    assert (size.encoding, size.segments) == (encoding, 1)
    number = page.incident.number
    assert text.startswith(f"CRITICAL #{number} Payments: ")
    assert text.endswith(f"\nReply A {number} to ack, R {number} to resolve")
    assert len(title) < 60 or size.units > 150  # what room there is, is used


@pytest.mark.django_db
@pytest.mark.parametrize("title", ["Сервис оплаты недоступен " * 40, "💥" * 400, "数据库无响应" * 100])
def test_other_alphabets_take_a_second_one_for_the_sake_of_the_title(title):
    text = render(make_page(title=title)).text
    size = sms_text.size(text)
    assert (size.encoding, size.segments) == ("UCS-2", 2)
    assert title[:15] in text and "Reply A" in text


@pytest.mark.django_db
def test_the_longest_names_still_leave_a_message():
    page = make_page(title="я" * 1024, service="Ж" * 120)
    text = render(page).text
    assert sms_text.size(text).segments <= 3 and f"Reply A {page.incident.number}" in text


EVIL = "<script>alert(1)</script> {{ 7|add:7 }} {% debug %} & \"x\" 'y' \x00\x07\x1b[31m \ud800 \u202e </Say><Hangup/>"


@pytest.mark.django_db
@pytest.mark.parametrize("channel", Channel)
def test_an_alerts_words_are_words(channel):
    page = make_page(channel)
    page.incident.title = page.incident.service.name = EVIL
    message = render(page)
    for part in (message.subject, message.text, message.html):
        assert not {"\x00", "\x07", "\x1b", "\ud800"} & set(part)
    assert "\n" not in message.subject and "\r" not in message.subject
    assert channel == Channel.SMS or "{{ 7|add:7 }} {% debug %}" in message.text  # in an SMS it is cut off
    if channel == Channel.EMAIL:
        assert "<script" not in message.html and "</Say>" not in message.html


@pytest.mark.django_db
def test_what_is_spoken_is_xml_safe():
    page = make_page(Channel.VOICE)
    page.incident.title = EVIL
    answer = ElementTree.fromstring(str(twilio.said([page])))
    assert [element.tag for element in answer] == ["Gather", "Gather", "Say", "Hangup"]
    assert "<script>alert(1)</script>" in next(answer.iter("Say")).text
    assert "\u202e" not in render(page).text


@given(st.text(max_size=100))
def test_one_line_is_one_printable_line(text):
    line = one_line(text)
    assert len(line.splitlines()) <= 1 and line == one_line(line)
    assert printable(text).encode().decode() == printable(text)  # no half of a pair is left


def test_slack_makes_nothing_of_a_title():
    assert slack.escaped("<!channel> & <@U1>") == "&lt;!channel&gt; &amp; &lt;@U1&gt;"


# The administrator's preview


def test_every_channel_has_a_text_for_each_kind():
    user = User(name="Ana Ruiz", email="ana@example.org")
    for kind in Kind:
        made = samples(title="Disk full", severity=Severity.HIGH, service="Payments", kind=kind, user=user)
        assert [sample.channel for sample in made] == list(Channel)
        assert all(sample.subject and sample.text.strip() for sample in made)


@pytest.mark.django_db
def test_the_preview_shows_texts_states_and_sizes(client):
    administrator = User.objects.create_superuser("root@example.org", "x", name="Root")
    client.force_login(administrator)
    path = reverse("admin:notifications_texts")
    page = client.get(path).text
    assert "Off. Set TWILIO_ACCOUNT_SID" in page and "/hooks/twilio/sms/" in page
    accounts.pause("smtp", span=timedelta(minutes=5), error="451 later", now=timezone.now())
    assert "Not used until" in client.get(path).text and "451 later" in client.get(path).text
    assert "units of GSM-7 · 1 segment" in page and 'srcdoc="&lt;!doctype html&gt;' in page
    given = {"title": "<b>Привет</b>", "severity": "low", "service": "Search", "kind": "page"}
    page = client.get(path, given).text
    assert "LOW #42 Search: &lt;b&gt;Привет" in page and "UCS-2" in page and "<b>Привет" not in page
    assert client.get(path, {**given, "severity": "worst"}).status_code == 200
    assert client.get(reverse("admin:notifications_contactmethod_changelist")).text.count(path) == 1


@pytest.mark.django_db
def test_the_preview_is_the_administrators(client):
    path = reverse("admin:notifications_texts")
    assert client.get(path).status_code == 302
    manager = TeamFactory(managers=[UserFactory()]).members.get()
    client.force_login(manager)
    assert client.get(path).status_code == 403
