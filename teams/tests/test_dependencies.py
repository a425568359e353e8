"""Which services depend on which, and who says so."""

import threading

import pytest
from django.db import connection
from django.urls import reverse

from openalert.exceptions import PermissionMissing
from openalert.tests.pages import Pages
from teams import dependencies
from teams.enums import Correlation
from teams.exceptions import DependencyCycle, DependencyExists, DependsOnItself
from teams.models import ServiceDependency
from teams.tests.cast import SEEN_BY_MEMBERS, Cast, answers, count_queries
from teams.tests.factories import (
    MembershipFactory,
    ServiceDependencyFactory,
    ServiceFactory,
    TeamFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
API = "/api/v1/service-dependencies"


@pytest.fixture
def cast():
    return Cast()


@pytest.fixture
def pages(cast):
    return Pages(cast)


@pytest.fixture
def checkout(cast):
    return ServiceFactory(team=cast.team, name="Checkout")


@pytest.fixture
def database(cast):
    return ServiceFactory(team=cast.team, name="Payments DB")


@pytest.fixture
def search(cast):
    """Of the other team; the manager of this one is an observer there."""
    MembershipFactory(team=cast.other_team, user=cast.manager, role="observer")
    return ServiceFactory(team=cast.other_team, name="Search")


def add(service, upstream, by, correlation=Correlation.SUGGEST):
    return dependencies.add_dependency(
        service=service, upstream=upstream, correlation=correlation, window_minutes=30, by=by
    )


def test_a_manager_declares_and_takes_away(cast, checkout, database):
    dependency = add(checkout, database, cast.manager)
    assert str(dependency) == "Checkout depends on Payments DB"
    dependencies.change_dependency(
        dependency_id=dependency.pk, correlation=Correlation.JOIN, window_minutes=5, by=cast.manager
    )
    dependency.refresh_from_db()
    assert (dependency.correlation, dependency.window_minutes) == (Correlation.JOIN, 5)
    dependencies.remove_dependency(dependency=dependency, by=cast.manager)
    dependencies.remove_dependency(dependency=dependency, by=cast.manager)
    assert not ServiceDependency.objects.exists()


def test_a_responder_declares_nothing(cast, checkout, database):
    with pytest.raises(PermissionMissing):
        add(checkout, database, cast.responder)


def test_joining_another_team_takes_a_responder_of_both(cast, checkout, search):
    with pytest.raises(PermissionMissing, match="Search"):
        add(checkout, search, cast.manager, Correlation.JOIN)
    dependency = add(checkout, search, cast.manager)
    given = {"dependency_id": dependency.pk, "correlation": Correlation.JOIN, "window_minutes": 30}
    with pytest.raises(PermissionMissing):
        dependencies.change_dependency(**given, by=cast.manager)
    cast.manager.memberships.filter(team=cast.other_team).update(role="responder")
    dependencies.change_dependency(**given, by=cast.manager)


def test_the_upstream_teams_manager_may_take_it_away(cast, checkout, search):
    dependency = add(checkout, search, cast.manager)
    with pytest.raises(PermissionMissing):
        dependencies.remove_dependency(dependency=dependency, by=cast.responder)
    dependencies.remove_dependency(dependency=dependency, by=cast.outsider)
    assert not ServiceDependency.objects.exists()


def test_circles_are_refused_however_long(cast, checkout, database):
    disk = ServiceFactory(team=cast.team, name="Disk")
    add(checkout, database, cast.manager)
    add(database, disk, cast.manager)
    add(checkout, disk, cast.manager)
    for service, upstream, failure in [
        (checkout, checkout, DependsOnItself),
        (checkout, database, DependencyExists),
        (database, checkout, DependencyCycle),
        (disk, checkout, DependencyCycle),
    ]:
        with pytest.raises(failure) as raised:
            add(service, upstream, cast.manager)
        assert raised.value.field == "upstream"
    assert str(raised.value) == "Checkout itself depends on Disk, maybe through others."
    assert ServiceDependency.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_of_two_halves_of_a_circle_declared_at_once_one_is_refused():
    mara = UserFactory()
    team = TeamFactory(managers=[mara])
    a, b = ServiceFactory(team=team), ServiceFactory(team=team)
    begin, raised = threading.Barrier(2), []

    def declare(service, upstream):
        try:
            begin.wait(10)
            add(service, upstream, mara)
        except DependencyCycle:
            raised.append(service)
        finally:
            connection.close()

    threads = [threading.Thread(target=declare, args=pair) for pair in ((a, b), (b, a))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(raised), ServiceDependency.objects.count()) == (1, 1)


# The API


def test_api_who_sees_and_who_changes(cast, checkout, database):
    dependency = ServiceDependencyFactory(service=checkout)
    upstream = dependency.upstream
    path = f"{API}/{dependency.pk}"
    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    body = {"service": str(checkout.pk), "upstream": str(database.pk)}
    assert cast.statuses("post", API, body) == answers(201, 403, 403, 400)
    assert cast.statuses("patch", path, {"window_minutes": 5}) == answers(200, 403, 403, 404)
    assert cast.statuses("patch", path, {"correlation": "join"}) == answers(403, 403, 403, 404)
    MembershipFactory(team=upstream.team, user=cast.outsider)
    assert cast.statuses("get", path) == answers(200, 200, 200, 200)
    assert cast.statuses("delete", path) == answers(204, 403, 403, 403)


def test_api_answers_with_what_was_written(cast, checkout, database):
    body = {"service": str(checkout.pk), "upstream": str(database.pk), "correlation": "join"}
    made = cast.api("manager").post(API, body).json()
    assert {name: made[name] for name in (*body, "window_minutes")} == {**body, "window_minutes": 30}
    changed = cast.api("manager").patch(f"{API}/{made['id']}", {"upstream": str(checkout.pk)})
    assert changed.json()["upstream"] == str(database.pk), "between which services it is stays"
    again = cast.api("manager").post(API, body)
    assert (again.status_code, again.json()["errors"][0]["code"]) == (400, "unique")
    back = {"service": str(database.pk), "upstream": str(checkout.pk)}
    refused = cast.api("manager").post(API, back)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "dependency_cycle")
    hidden = {"service": str(checkout.pk), "upstream": str(ServiceFactory().pk)}
    assert cast.api("manager").post(API, hidden).json()["errors"][0]["code"] == "does_not_exist"


def test_api_list_takes_the_same_queries_however_many(cast, checkout):
    ServiceDependencyFactory(service=checkout)
    one = count_queries(cast.api("observer"), API)
    ServiceDependencyFactory.create_batch(2, service=checkout)
    assert (one[0], count_queries(cast.api("observer"), API)) == (1, (3, one[1]))


# The pages


def test_pages_who_sees_and_who_changes(pages, checkout, database):
    dependency = ServiceDependencyFactory(service=checkout)
    answers = pages.answers
    posted = {"correlation": "suggest", "window_minutes": 10}
    new = reverse("dependency-new", args=[checkout.pk])
    change = reverse("dependency", args=[dependency.pk])
    assert pages.statuses("get", reverse("dependencies", args=[checkout.pk])) == answers(200, 200, 200, 404)
    assert pages.statuses("get", new) == answers(200, 403, 403, 404)
    assert pages.statuses("post", new, {**posted, "upstream": str(database.pk)}) == answers(
        302, 403, 403, 404
    )
    assert pages.statuses("get", change) == answers(200, 403, 403, 404)
    assert pages.statuses("post", change, posted) == answers(302, 403, 403, 404)
    assert pages.statuses("post", change, {**posted, "correlation": "join"}) == answers(422, 403, 403, 404)
    remove = reverse("dependency-remove", args=[dependency.pk])
    assert pages.statuses("post", remove) == answers(302, 403, 403, 404)


def test_page_names_both_sides_and_links_what_one_may_see(pages, checkout, database):
    hidden = ServiceDependencyFactory(service=checkout, upstream__name="Hidden <b>").upstream
    ServiceDependencyFactory(service=checkout, upstream=database, correlation="join", window_minutes=5)
    text = pages.text("observer", reverse("dependencies", args=[checkout.pk]))
    assert "Hidden &lt;b&gt;" in text
    assert reverse("service", args=[hidden.pk]) not in text
    assert reverse("service", args=[database.pk]) in text
    assert "alerts join its incident, up to 5 min after its last alert" in text
    below = pages.text("observer", reverse("dependencies", args=[database.pk]))
    assert "its alerts join incidents here" in below
    assert reverse("dependency-new", args=[database.pk]) not in below


def test_page_takes_the_same_queries_however_many(pages, checkout):
    path = reverse("dependencies", args=[checkout.pk])
    ServiceDependencyFactory(service=checkout)
    ServiceDependencyFactory(upstream=checkout)
    one = pages.count_queries("manager", path)
    ServiceDependencyFactory.create_batch(2, service=checkout)
    ServiceDependencyFactory.create_batch(2, upstream=checkout)
    assert pages.count_queries("manager", path) == one


def test_page_tells_of_a_circle_in_words(pages, checkout, database):
    ServiceDependencyFactory(service=database, upstream=checkout)
    posted = {"upstream": str(database.pk), "correlation": "suggest", "window_minutes": 10}
    answer = pages.client("manager").post(reverse("dependency-new", args=[checkout.pk]), posted)
    assert (answer.status_code, "itself depends on Checkout" in answer.text) == (422, True)


def test_admin_refuses_a_circle(client, checkout, database):
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    add_page = reverse("admin:teams_servicedependency_add")
    given = {"correlation": "suggest", "window_minutes": 30}
    there = {**given, "service": checkout.pk, "upstream": database.pk}
    back = {**given, "service": database.pk, "upstream": checkout.pk}
    assert client.post(add_page, there).status_code == 302
    assert "itself depends on" in client.post(add_page, back).text
    dependency = ServiceDependency.objects.get()
    change = reverse("admin:teams_servicedependency_change", args=[dependency.pk])
    assert client.post(change, {**given, "correlation": "join"}).status_code == 302
    dependency.refresh_from_db()
    assert dependency.correlation == Correlation.JOIN
