"""Reports: what is counted, who sees it, and how it looks as a page and as CSV."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from incidents import lifecycle
from incidents.enums import Severity, Status
from incidents.reports import figures, on_call_hours, parts
from incidents.reports.blocks import Chart, Column, Figure, Figures, Seconds, Series, Table, tables_of
from incidents.reports.charts import HEIGHT, draw, nice_levels
from incidents.reports.export import as_csv
from incidents.reports.nights import is_night, night_between
from incidents.reports.scope import Scope
from incidents.timeline import SYSTEM, Actor
from openalert.tests.pages import Pages
from teams.models import Service
from teams.tests.factories import ScheduleFactory, ServiceFactory, TeamFactory, UserFactory

from .factories import IncidentFactory

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


@pytest.fixture
def cast(db):
    people = {name: UserFactory(name=name) for name in ("manager", "responder", "observer", "outsider")}
    team = TeamFactory(
        name="Payments",
        managers=[people["manager"]],
        responders=[people["responder"]],
        observers=[people["observer"]],
    )
    TeamFactory(managers=[people["outsider"]])
    return SimpleNamespace(**people, nobody=None, team=team)


@pytest.fixture
def pages(cast):
    return Pages(cast)


def scope(*services, start=None, days=7, zone=UTC, severities=tuple(Severity)):
    start = start or timezone.now() - timedelta(days=days)
    zone = ZoneInfo("UTC") if zone is UTC else zone
    found = Service.objects.select_related("team")
    services = found.filter(pk__in=[s.pk for s in services]) if services else found
    return Scope(start, start + timedelta(days=days), zone, {s.pk: s for s in services}, severities)


def happened(service, *, ago, acknowledged=None, resolved=None, by=None, **fields):
    """An incident so long ago, acknowledged and resolved so many seconds after it was opened."""
    at = timezone.now() - ago
    seen = at + timedelta(seconds=acknowledged) if acknowledged is not None else None
    over = at + timedelta(seconds=resolved) if resolved is not None else None
    return IncidentFactory(
        service=service,
        opened_at=at,
        acknowledged_at=seen,
        first_acknowledged_at=seen,
        first_acknowledged_by=by,
        resolved_at=over,
        status=Status.RESOLVED if over else Status.ACKNOWLEDGED if seen else Status.OPEN,
        **fields,
    )


# What is counted


def test_the_first_acknowledgement_is_kept_whatever_comes_after(db, clock):
    ana, bo = UserFactory(), UserFactory()
    incident = IncidentFactory()
    clock.advance(minutes=2)
    first = timezone.now()
    lifecycle.acknowledge(incident_id=incident.pk, actor=Actor.person(ana, via="web"))
    clock.advance(minutes=10)
    lifecycle.unacknowledge(incident_id=incident.pk, actor=SYSTEM)
    clock.advance(minutes=10)
    lifecycle.acknowledge(incident_id=incident.pk, actor=Actor.person(bo, via="web"))
    incident.refresh_from_db()
    assert (incident.first_acknowledged_at, incident.first_acknowledged_by) == (first, ana)
    assert incident.acknowledged_by == bo


def test_means_medians_and_the_span_before(db):
    service = ServiceFactory()
    hour = timedelta(hours=1)
    happened(service, ago=hour, acknowledged=60, resolved=600)
    happened(service, ago=2 * hour, acknowledged=120, resolved=1200)
    happened(service, ago=3 * hour, acknowledged=600)
    happened(service, ago=4 * hour)
    happened(service, ago=timedelta(days=8), acknowledged=30, resolved=300)
    week = scope()
    now, before = figures.by_whom(week).all, figures.by_whom(week.previous).all
    assert figures.overall(week)[:2] == (now, before)
    assert (now.incidents, now.acknowledged, now.resolved) == (4, 3, 2)
    assert (now.mtta, now.mttr) == (260, 900)
    assert figures.overall(week)[2] == (120, 900)
    assert (before.incidents, before.mtta, before.mttr) == (1, 30, 300)


def test_merged_incidents_and_other_services_do_not_count(db):
    mine, others = ServiceFactory(), ServiceFactory()
    target = happened(mine, ago=timedelta(hours=1))
    happened(mine, ago=timedelta(hours=2), resolved=10, merged_into=target)
    happened(others, ago=timedelta(hours=2))
    assert figures.by_whom(scope(mine)).all.incidents == 1


def test_a_span_takes_its_first_instant_and_not_its_last(db, clock):
    service = ServiceFactory()
    start = timezone.now()
    IncidentFactory(service=service, opened_at=start)
    IncidentFactory(service=service, opened_at=start + timedelta(days=7))
    assert figures.by_whom(scope(start=start)).all.incidents == 1


def test_a_breakdown_adds_up_in_each_way(db, clock):
    """Monday 2 March 2026, 12:00 UTC is 13:00 in Berlin."""
    ana, bo = UserFactory(), UserFactory()
    shop, bank = ServiceFactory(), ServiceFactory()
    happened(shop, ago=timedelta(hours=1), acknowledged=60, by=ana, severity=Severity.CRITICAL)
    happened(shop, ago=timedelta(hours=1, minutes=20), acknowledged=180, by=bo)
    happened(bank, ago=timedelta(days=1, hours=13), by=None, severity=Severity.LOW)
    found, in_time = figures.by_whom(scope(zone=BERLIN)), figures.by_time(scope(zone=BERLIN))
    assert {hour: count.incidents for hour, count in in_time.by_hour.items()} == {12: 1, 11: 1, 0: 1}
    monday, sunday = datetime(2026, 3, 2, tzinfo=BERLIN), datetime(2026, 3, 1, tzinfo=BERLIN)
    assert {key: count.incidents for key, count in in_time.by_bucket.items()} == {
        (monday, "critical"): 1,
        (monday, "high"): 1,
        (sunday, "low"): 1,
    }
    assert found.of_service(shop.pk).mtta == 120
    assert found.of_severity("low").mtta is None
    assert {pk: count.mtta for pk, count in found.by_person.items()} == {ana.pk: 60, bo.pk: 180, None: None}


def test_zones_that_are_no_whole_hours_away(db, clock):
    """12:00 UTC is 17:45 in Kathmandu: 16:20 there is 10:35 UTC, and 16:05 is 10:20."""
    zone = ZoneInfo("Asia/Kathmandu")
    service = ServiceFactory()
    happened(service, ago=timedelta(hours=1, minutes=25))
    happened(service, ago=timedelta(hours=2, minutes=5))
    day = scope(zone=zone, days=1)
    found = figures.by_time(day)
    assert {hour: count.incidents for hour, count in found.by_hour.items()} == {16: 1, 15: 1}
    assert {at for at, _ in found.by_bucket} < set(day.buckets())


def test_hours_and_days_are_those_of_the_clock_around_its_change(db):
    """Clocks went forward in Berlin on 29 March 2026 at 01:00 UTC, and back on 25 October 2026 at 01:00 UTC."""
    service = ServiceFactory()
    for month, day, hour, minute in [(3, 29, 0, 59), (3, 29, 1, 0), (3, 29, 21, 59), (3, 29, 22, 0)]:
        IncidentFactory(service=service, opened_at=datetime(2026, month, day, hour, minute, tzinfo=UTC))
    for month, day, hour, minute in [(10, 25, 0, 30), (10, 25, 1, 30), (10, 25, 22, 59), (10, 25, 23, 0)]:
        IncidentFactory(service=service, opened_at=datetime(2026, month, day, hour, minute, tzinfo=UTC))
    march = figures.by_time(scope(start=datetime(2026, 3, 29, tzinfo=BERLIN), days=2, zone=BERLIN))
    assert {hour: count.incidents for hour, count in march.by_hour.items()} == {1: 1, 3: 1, 23: 1, 0: 1}
    october = figures.by_time(scope(start=datetime(2026, 10, 20, tzinfo=BERLIN), days=7, zone=BERLIN))
    assert {hour: count.incidents for hour, count in october.by_hour.items()} == {2: 2, 23: 1, 0: 1}
    assert {at.day: count.incidents for (at, _), count in october.by_bucket.items()} == {25: 3, 26: 1}


def test_severities_narrow_it(db):
    service = ServiceFactory()
    happened(service, ago=timedelta(hours=1), severity=Severity.LOW)
    happened(service, ago=timedelta(hours=1), severity=Severity.CRITICAL)
    assert figures.by_whom(scope(severities=[Severity.CRITICAL])).all.incidents == 1


# Spans


def test_a_span_knows_when_its_clocks_change():
    year = Scope(datetime(2026, 1, 1, 12, tzinfo=BERLIN), datetime(2027, 1, 1, 12, tzinfo=BERLIN), BERLIN, {})
    assert year.clock_changes() == [
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 1, tzinfo=UTC),
    ]
    assert Scope(year.start, datetime(2026, 3, 29, 1, tzinfo=UTC), BERLIN, {}).clock_changes() == []


def test_the_span_before_has_as_many_days_across_a_change_of_clocks():
    """Clocks went forward in Berlin on 29 March 2026."""
    start, end = datetime(2026, 3, 28, tzinfo=BERLIN), datetime(2026, 3, 31, tzinfo=BERLIN)
    before = Scope(start, end, BERLIN, {}).previous
    assert (before.start, before.end) == (datetime(2026, 3, 25, tzinfo=BERLIN), start)


@pytest.mark.parametrize(
    ("days", "bucket", "count"),
    [(1, "hour", 24), (7, "day", 7), (92, "day", 92), (93, "week", 14), (800, "month", 27)],
)
def test_columns_of_a_span(days, bucket, count):
    start = datetime(2026, 1, 1, tzinfo=NEW_YORK)
    end = datetime.combine(start.date() + timedelta(days=days), start.timetz())
    found = Scope(start, end, NEW_YORK, {})
    assert found.bucket == bucket
    assert len(found.buckets()) == count
    assert found.buckets()[0] <= start < found.buckets()[1]


def test_hours_of_the_day_on_which_clocks_go_back():
    start, end = datetime(2026, 10, 25, tzinfo=BERLIN), datetime(2026, 10, 26, tzinfo=BERLIN)
    assert len(Scope(start, end, BERLIN, {}).buckets()) == 25


# Nights and hours on call


def test_night_is_the_persons_own():
    at = datetime(2026, 3, 2, 4, 30, tzinfo=UTC)
    assert is_night(at, BERLIN)
    assert not is_night(at + timedelta(hours=2), BERLIN)
    assert is_night(at, NEW_YORK)  # 23:30


def test_a_day_has_nine_hours_of_night_and_one_more_when_clocks_go_back():
    day = timedelta(days=1)
    start = datetime(2026, 3, 2, 12, tzinfo=BERLIN).astimezone(UTC)
    assert night_between(start, start + day, BERLIN) == timedelta(hours=9)
    start = datetime(2026, 10, 24, 12, tzinfo=BERLIN).astimezone(UTC)
    assert night_between(start, start + day, BERLIN) == timedelta(hours=10)


def test_on_call_hours_end_now(db, clock):
    """Weekly turns from Mondays 09:00 UTC; it is Monday 2 March 2026, 12:00."""
    ana, bo = UserFactory(name="Ana"), UserFactory(name="Bo")
    schedule = ScheduleFactory(on_call=[ana, bo])
    service = ServiceFactory(team=schedule.team)
    [table] = on_call_hours.build(scope(service, start=timezone.now() - timedelta(days=7), days=14))
    hours = {row[0]: row[3:] for row in table.rows}
    assert hours == {"Ana": [1, 3.0, 0.0, 0.0], "Bo": [1, 165.0, 63.0, 48.0]}


# Pages


@pytest.mark.parametrize(
    "name",
    ["reports", "summary", "over-time", "incidents", "pages", "alerts", "delivery", "escalations", "on-call"],
)
def test_who_sees_the_pages(pages, name):
    path = reverse("reports") if name == "reports" else reverse("report", args=[name])
    assert pages.statuses("get", path) == Pages.answers(200, 200, 200, 200)


def test_figures_are_of_the_persons_own_teams(pages, cast):
    happened(
        ServiceFactory(team=cast.team, name="Checkout"),
        ago=timedelta(hours=1),
        acknowledged=90,
        by=cast.responder,
    )
    path = reverse("report", args=["incidents"])
    assert "Checkout" in pages.text("observer", path)
    assert "1 min 30 s" in pages.text("observer", path)
    assert "Checkout" not in pages.text("outsider", path)
    # Asking for another's service by its id shows no more.
    service = Service.objects.get(name="Checkout")
    assert "Checkout" not in pages.text("outsider", f"{path}?service={service.pk}")


def test_a_report_is_filtered_without_scripts(pages, cast):
    checkout, search = ServiceFactory(team=cast.team, name="Checkout"), ServiceFactory(team=cast.team)
    for service in (checkout, search):
        happened(service, ago=timedelta(hours=1))
    client, path = pages.client("manager"), reverse("report", args=["incidents"])
    page = client.get(path, {"period": "30", "severity": "high"})
    [form] = re.findall(r"<form[^>]* method=\"get\".*?</form>", page.text, re.DOTALL)
    assert 'type="submit"' in form and "hx-" not in form
    # As a browser sends it once a service is chosen: to where it says, with what it has filled in.
    [action] = re.findall(r'<form[^>]* action="([^"]*)"', form)
    sent = {"period": re.findall(r'<option value="(\w+)" selected>', form)}
    sent["severity"] = re.findall(r'value="(\w+)" checked', form)
    assert (action, sent) == (path, {"period": ["30"], "severity": ["high"]})
    assert f'<option value="{checkout.pk}">' in form
    narrowed = client.get(action, {**sent, "service": checkout.pk})
    scope = narrowed.context["scope"]
    assert (list(scope.services), scope.severities) == ([checkout.pk], [Severity.HIGH])
    assert f'<option value="{checkout.pk}" selected>' in narrowed.text
    # What htmx fetches for the page of all reports has none.
    assert "<form" not in client.get(path, headers={"HX-Request": "true"}).text


def test_every_registered_section_is_on_the_page(pages):
    text = pages.text("manager", reverse("reports"))
    assert [s.slug for s in parts.sections()] == [
        "summary",
        "over-time",
        "incidents",
        "pages",
        "alerts",
        "delivery",
        "escalations",
        "on-call",
    ]
    for section in parts.sections():
        assert f'hx-get="/reports/{section.slug}/?"' in text


@pytest.mark.parametrize(
    "slug", ["incidents", "over-time", "pages", "alerts", "delivery", "escalations", "on-call"]
)
def test_the_number_of_queries_is_the_same_for_one_and_for_three(pages, cast, slug):
    def add():
        service = ServiceFactory(team=cast.team)
        ScheduleFactory(team=cast.team, on_call=[UserFactory()])
        happened(service, ago=timedelta(hours=1), acknowledged=5, resolved=50, by=UserFactory())

    path = reverse("report", args=[slug])
    add()
    one = pages.count_queries("manager", path)
    add()
    add()
    assert pages.count_queries("manager", path) == one


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("period=days", "Say from which day"),
        ("period=days&since=2026-03-02&until=2026-03-01", "must not be after"),
        ("period=days&since=1900-01-01&until=2026-03-01", "ten years"),
        ("period=days&since=yesterday&until=2026-03-01", "valid date"),
        ("severity=bad", "valid choice"),
    ],
)
def test_a_wrong_filter_is_told_and_gives_no_file(pages, asked, words):
    assert words in pages.text("manager", f"{reverse('reports')}?{asked}")
    answer = pages.client("manager").get(f"{reverse('report-csv', args=['incidents', 'by-service'])}?{asked}")
    assert (answer.status_code, words in answer.text) == (422, True)


def test_days_are_whole_and_on_the_persons_own_clock(pages, cast, clock):
    cast.manager.time_zone = "America/New_York"
    cast.manager.save()
    service = ServiceFactory(team=cast.team)
    IncidentFactory(service=service, opened_at=datetime(2026, 2, 20, 4, 59, tzinfo=UTC))  # the 19th there
    IncidentFactory(service=service, opened_at=datetime(2026, 2, 21, 4, 59, tzinfo=UTC))
    path = reverse("report-csv", args=["over-time", "over-time"])
    rows = read_csv(pages.client("manager").get(f"{path}?period=days&since=2026-02-20&until=2026-02-20"))
    assert sum(int(row["Incidents"]) for row in rows) == 1


# Files


def read_csv(response):
    assert response.status_code == 200, response
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))


def test_a_table_as_a_file(pages, cast):
    service = ServiceFactory(team=cast.team, name="Checkout")
    happened(service, ago=timedelta(hours=1), acknowledged=90, resolved=600)
    answer = pages.client("manager").get(reverse("report-csv", args=["incidents", "by-service"]))
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="openalert-by-service-')
    assert read_csv(answer) == [
        {
            "Service": "Checkout",
            "Team": "Payments",
            "Incidents": "1",
            "Before": "0",
            "Acknowledged": "1",
            "Time to acknowledge (s)": "90",
            "Time to resolve (s)": "600",
        }
    ]


def test_a_file_runs_no_formulas():
    table = Table("t", "T", [Column("A"), Column("B")], [["=HYPERLINK(1)", -1], ["@x", Seconds(None)]])
    assert list(csv.reader(io.StringIO(as_csv(table).lstrip("\ufeff"))))[1:] == [
        ["'=HYPERLINK(1)", "-1"],
        ["'@x", ""],
    ]


def test_a_table_that_is_not_there(pages):
    for args in (["incidents", "nothing"], ["nothing", "by-service"]):
        assert pages.client("manager").get(reverse("report-csv", args=args)).status_code == 404


@pytest.mark.django_db
def test_every_table_has_its_own_name():
    for section in parts.sections():
        # Two charts may have the same table behind them.
        found = {id(table): table.name for table in tables_of(section.build(scope_of_nothing()))}
        assert len(set(found.values())) == len(found)


def scope_of_nothing():
    now = timezone.now()
    return Scope(now - timedelta(days=1), now, ZoneInfo("UTC"), {})


# Charts


def chart(form, **series):
    names = [str(n) for n in range(len(next(iter(series.values()))))]
    table = Table("t", "T", [], [])
    return Chart("C", form, names, [Series(name, "info", values) for name, values in series.items()], table)


def test_columns_are_stacked_and_end_below_the_top():
    drawing = draw(chart("columns", a=[1, 0, 4], b=[3, 2, 0]))
    assert [(bar.y, bar.height) for bar in drawing.bars] == [(120, 40), (0, 120), (80, 80), (0, 160)]
    assert [level.text for level in drawing.levels] == ["0", "1", "2", "3", "4"]
    assert all(bar.x >= 0 and bar.x + bar.width <= 100 for bar in drawing.bars)


def test_lines_go_over_holes_on_a_logarithmic_scale():
    drawing = draw(chart("lines", a=[10.0, None, 100.0]))
    assert [level.text for level in drawing.levels] == ["10 s", "1 min", "10 min"]
    assert drawing.dots[0].y == HEIGHT
    assert [(stroke.y1, stroke.y2) for stroke in drawing.strokes] == [(HEIGHT, drawing.dots[1].y)]
    assert 0 < drawing.dots[1].y < HEIGHT


def test_an_empty_chart_says_so():
    assert draw(chart("columns", a=[0, 0])).is_empty
    assert draw(chart("lines", a=[None])).is_empty


@pytest.mark.parametrize(
    ("top", "levels"), [(1, [0, 1]), (4, [0, 1, 2, 3, 4]), (7, [0, 2, 4, 6, 8]), (1234, [0, 500, 1000, 1500])]
)
def test_levels_are_round(top, levels):
    assert nice_levels(top) == levels


def test_a_figure_beside_the_one_before():
    assert (Figure("x", 12, 10).change, Figure("x", 12, 10).tone) == ("+20 %", "danger")
    assert (Figure("x", 8, 10).change, Figure("x", 8, 10).tone) == ("−20 %", "success")
    assert (Figure("x", 3, 0).change, Figure("x", 3, 0).tone) == ("up from 0", "danger")
    assert Figure("x", 3, None).change == ""
    assert (Figure("x", 0.5, 0.25, is_share=True, less_is_better=False).change) == "+25 points"


@pytest.mark.parametrize(
    ("value", "before", "words"),
    [
        (0, 0, "as before"),
        (3, 3, "as before"),
        (3, 0, "up from 0"),
        (3, None, ""),
        (12, 10, "+20 % before: 10"),
    ],
)
def test_a_figure_says_once_what_it_was_before(value, before, words):
    block = Figures([Figure("Incidents", value, before)])
    shown = strip_tags(render_to_string("incidents/reports/_figures.html", {"block": block})).split()
    assert shown == ["Incidents", str(value), *words.split()]
