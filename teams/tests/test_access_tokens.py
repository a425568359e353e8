"""API tokens: made, let in to what their scopes allow, and void; and signing out everywhere."""

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from openalert import api as rest_api
from openalert.exceptions import PermissionMissing
from teams import api_tokens, scopes
from teams.exceptions import InvalidToken, UnknownScope
from teams.models import ApiToken, Team, User
from teams.tests.cast import Cast
from teams.tests.factories import PASSWORD, ServiceFactory, UserFactory

pytestmark = pytest.mark.django_db

API = "/api/v1"


@pytest.fixture(autouse=True)
def fresh_throttle():
    cache.clear()


@pytest.fixture
def cast():
    return Cast()


def made(by, *scopes, **options):
    return api_tokens.create_token(by=by, name="deploys", scopes=scopes, **options)


def program(text):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def code(response):
    return response.status_code, response.json()["errors"][0]["code"]


def test_a_token_is_shown_once_and_only_its_hash_is_kept(cast):
    response = cast.api("manager").post(f"{API}/api-tokens", {"name": "deploys", "scopes": ["read"]})
    assert response.status_code == 201
    text = response.json()["token"]
    token = ApiToken.objects.get()
    assert re.fullmatch(r"oap_[0-9a-f]{12}_[0-9a-f]{40}", text)
    assert text.startswith(token.prefix) and text.rpartition("_")[2] not in str(vars(token))
    assert program(text).get(f"{API}/me").json()["id"] == str(cast.manager.pk)
    [listed] = cast.api("manager").get(f"{API}/api-tokens").json()["results"]
    assert "token" not in listed and listed["prefix"] == token.prefix
    assert cast.api("responder").get(f"{API}/api-tokens/{token.pk}").status_code == 404


def test_scopes_allow_what_they_name_and_never_more_than_the_person(cast):
    service = {"team": str(cast.team.pk), "name": "New"}
    reads, manages = made(cast.manager, "read")[1], made(cast.manager, "services:write")[1]
    assert program(reads).get(f"{API}/services").status_code == 200
    assert code(program(reads).post(f"{API}/services", service)) == (403, "scope_missing")
    assert code(program(manages).get(f"{API}/incidents")) == (403, "scope_missing")
    assert program(manages).post(f"{API}/services", service).status_code == 201
    writes = made(cast.manager, "write")[1]
    assert code(program(writes).delete(f"{API}/services/{ServiceFactory(team=cast.team).pk}"))[0] == 403
    observing = made(cast.observer, "admin")[1]
    assert code(program(observing).post(f"{API}/services", {**service, "name": "Other"})) == (
        403,
        "permission_denied",
    )


def test_no_token_makes_or_sees_tokens(cast):
    text = made(cast.manager, "admin")[1]
    assert code(program(text).get(f"{API}/api-tokens")) == (403, "scope_missing")
    assert code(program(text).post(f"{API}/api-tokens", {"name": "x", "scopes": ["read"]}))[0] == 403
    assert code(program(text).post(f"{API}/auth/sign-out-everywhere"))[0] == 403


def test_every_address_of_the_api_is_in_one_area():
    words = {str(pattern.pattern).split("/", 1)[0] for entry in rest_api.v1 for pattern in entry.url_patterns}
    nested = {
        str(inner.pattern).split("/", 1)[0]
        for entry in rest_api.v1
        for pattern in entry.url_patterns
        for inner in getattr(pattern, "url_patterns", [])
    }
    assert {word for word in words | nested if word} == scopes.AREA_OF.keys() | scopes.CLOSED


def test_a_teams_token_opens_that_team_alone_and_outlives_its_maker(cast):
    token, text = made(cast.manager, "services:write", team=cast.team)
    cast.manager.is_active = False
    cast.manager.save()
    ServiceFactory(team=cast.other_team)
    assert (
        program(text).post(f"{API}/services", {"team": str(cast.team.pk), "name": "New"}).status_code == 201
    )
    response = program(text).post(f"{API}/services", {"team": str(cast.other_team.pk), "name": "New"})
    assert code(response) == (400, "does_not_exist")
    assert [row["name"] for row in program(text).get(f"{API}/services").json()["results"]] == ["New"]
    assert not token.user.memberships.exists(), "nobody pages it"
    assert not Client().login(email=token.user.email, password="")
    admin = UserFactory(is_superuser=True)
    api = APIClient()
    api.force_authenticate(admin)
    people = api.get(f"{API}/users").json()["results"]
    assert str(token.user_id) not in {person["id"] for person in people}


def test_only_managers_make_and_revoke_a_teams_tokens(cast):
    with pytest.raises(PermissionMissing):
        made(cast.responder, "read", team=cast.team)
    token, text = made(cast.manager, "read", team=cast.team)
    body = {"name": "x", "scopes": ["read"], "team": str(cast.team.pk)}
    statuses = cast.statuses("post", f"{API}/api-tokens", body)
    assert statuses == {"manager": 201, "responder": 403, "observer": 403, "outsider": 400, "nobody": 401}
    statuses = cast.statuses("delete", f"{API}/api-tokens/{token.pk}")
    assert statuses == {"manager": 204, "responder": 404, "observer": 404, "outsider": 404, "nobody": 401}
    cast.api("manager").delete(f"{API}/api-tokens/{token.pk}")
    assert code(program(text).get(f"{API}/services")) == (401, "token_not_valid")
    assert not User.objects.get(pk=token.user_id).is_active


@pytest.mark.parametrize(
    "how", ["expired", "revoked", "inactive", "wrong secret", "wrong prefix", "nonsense"]
)
def test_what_is_not_in_force_opens_nothing(cast, how):
    token, text = made(cast.responder, "read", expires_at=timezone.now() + timedelta(hours=1))
    assert api_tokens.authenticate(text) == token
    if how == "expired":
        ApiToken.objects.update(expires_at=timezone.now())
    elif how == "revoked":
        api_tokens.revoke_token(token.pk, by=cast.responder)
        api_tokens.revoke_token(token.pk, by=cast.responder)
    elif how == "inactive":
        User.objects.update(is_active=False)
    else:
        wrong = {"wrong secret": text[:-1] + "x", "wrong prefix": "oap_0_" + text, "nonsense": "oap_\x00"}
        text = wrong[how]
    with pytest.raises(InvalidToken):
        api_tokens.authenticate(text)


def test_use_is_noted_at_most_once_a_minute(cast, clock):
    _, text = made(cast.responder, "read")
    api_tokens.authenticate(text)
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    clock.advance(seconds=59)
    with CaptureQueriesContext(connection) as queries:
        api_tokens.authenticate(text)
    assert len(queries) == 1 and ApiToken.objects.get().last_used_at == first
    clock.advance(seconds=1)
    api_tokens.authenticate(text)
    assert ApiToken.objects.get().last_used_at == first + timedelta(minutes=1)


def test_unknown_scopes_are_refused(cast):
    for wanted in ([], ["everything"], ["teams:admin"]):
        with pytest.raises(UnknownScope):
            made(cast.manager, *wanted)


def test_signing_out_everywhere_ends_sessions_and_tokens_but_not_api_tokens(cast, client):
    pair = client.post(
        f"{API}/auth/token", {"email": cast.responder.email, "password": PASSWORD}, "application/json"
    ).json()
    browser, other = Client(), Client()
    browser.force_login(cast.responder)
    other.force_login(cast.responder)
    _, text = made(cast.responder, "read")
    assert program(pair["access"]).get(f"{API}/me").status_code == 200
    assert browser.post(reverse("sign-out-everywhere")).status_code == 302
    assert browser.get(reverse("api-tokens")).status_code == 200
    assert other.get(reverse("api-tokens")).status_code == 302
    assert program(pair["access"]).get(f"{API}/me").status_code == 401
    refresh = client.post(f"{API}/auth/token/refresh", {"refresh": pair["refresh"]}, "application/json")
    assert refresh.status_code == 401
    assert program(text).get(f"{API}/me").status_code == 200
    pair = client.post(
        f"{API}/auth/token", {"email": cast.responder.email, "password": PASSWORD}, "application/json"
    ).json()
    pair = client.post(f"{API}/auth/token/refresh", {"refresh": pair["refresh"]}, "application/json").json()
    assert program(pair["access"]).get(f"{API}/me").status_code == 200


def test_each_caller_may_ask_so_often_and_is_told_when_again(cast, settings, clock):
    settings.API_REQUESTS_PER_MINUTE = 4
    text, other = made(cast.responder, "read")[1], made(cast.responder, "read")[1]
    assert [program(text).get(f"{API}/me").status_code for _ in range(5)] == [200] * 4 + [429]
    response = program(text).get(f"{API}/me")
    assert code(response) == (429, "throttled")
    assert 1 <= int(response["Retry-After"]) <= 60
    assert program(other).get(f"{API}/me").status_code == 200, "another token has its own count"
    clock.advance(minutes=1)
    assert program(text).get(f"{API}/me").status_code == 200


def test_the_page_makes_shows_and_revokes(cast):
    browser = Client()
    browser.force_login(cast.manager)
    page = reverse("api-tokens")
    given = {"name": "deploys", "scopes": ["read"], "lifetime": "30", "team": str(cast.team.pk)}
    response = browser.post(page, given)
    token = ApiToken.objects.get()
    assert response.context["text"] in response.text and token.team == cast.team
    assert "no-store" in response["Cache-Control"]
    text = browser.get(page).text
    assert token.prefix in text and response.context["text"] not in text
    assert browser.post(page, {**given, "scopes": ["all"]}).status_code == 422
    assert browser.post(reverse("api-token-revoke", args=[token.pk])).status_code == 302
    assert token.prefix not in browser.get(page).text
    assert ApiToken.objects.get().revoked_at is not None


def test_an_auditor_sees_all_teams(cast):
    auditor = UserFactory(is_auditor=True)
    assert set(Team.objects.visible_to(auditor)) == {cast.team, cast.other_team}
    assert not Team.objects.visible_to(UserFactory()).exists()
