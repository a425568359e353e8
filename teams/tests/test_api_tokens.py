import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from teams.models import User
from teams.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

TOKEN = "/api/v1/auth/token"


@pytest.fixture(autouse=True)
def fresh_throttle():
    cache.clear()


@pytest.fixture
def ana():
    return UserFactory(name="Ana Ruiz", email="ana@example.org")


def sign_in(client, email="ana@example.org", password=PASSWORD):
    return client.post(TOKEN, {"email": email, "password": password})


def me(token):
    return APIClient().get("/api/v1/me", HTTP_AUTHORIZATION=f"Bearer {token}")


def error(response):
    body = response.json()
    assert body["correlation_id"] == response["X-Correlation-ID"]
    assert len(body["errors"]) == 1
    return response.status_code, body["type"], body["errors"][0]["code"], body["errors"][0]["field"]


def test_a_token_opens_the_api(client, ana):
    pair = sign_in(client, "ANA@example.org").json()
    assert me(pair["access"]).json()["name"] == "Ana Ruiz"
    assert client.post(f"{TOKEN}/verify", {"token": pair["access"]}).status_code == 200


def test_wrong_sign_ins_get_one_answer(client, ana):
    unknown = (401, "client_error", "no_active_account", None)
    assert error(sign_in(client, password="wrong")) == unknown
    assert error(sign_in(client, email="bo@example.org")) == unknown
    User.objects.update(is_active=False)
    assert error(sign_in(client)) == unknown


def test_signing_in_is_throttled(client, ana):
    for number in range(30):  # of one account it would be locked out long before
        assert sign_in(client, f"{number}@example.org", "wrong").status_code == 401
    refused = sign_in(client)
    assert error(refused) == (429, "client_error", "throttled", None)
    assert refused["Retry-After"]


def test_people_can_sign_in_while_redis_is_away(client, ana, settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    assert sign_in(client, password="wrong").status_code == 401
    assert me(sign_in(client).json()["access"]).status_code == 200


def test_a_refresh_token_works_once(client, ana):
    first = sign_in(client).json()["refresh"]
    pair = client.post(f"{TOKEN}/refresh", {"refresh": first}).json()
    assert me(pair["access"]).status_code == 200

    again = client.post(f"{TOKEN}/refresh", {"refresh": first})
    assert error(again) == (401, "client_error", "token_not_valid", None)
    assert client.post(f"{TOKEN}/refresh", {"refresh": pair["refresh"]}).status_code == 200


def test_a_revoked_refresh_token_is_void(client, ana):
    refresh = sign_in(client).json()["refresh"]
    assert client.post(f"{TOKEN}/revoke", {"refresh": refresh}).status_code == 200
    assert client.post(f"{TOKEN}/refresh", {"refresh": refresh}).status_code == 401
    assert client.post(f"{TOKEN}/verify", {"token": refresh}).status_code in (400, 401)


def test_an_access_token_lasts_an_hour(client, ana, clock):
    access = sign_in(client).json()["access"]
    clock.advance(minutes=59)
    assert me(access).status_code == 200
    clock.advance(minutes=2)
    assert error(me(access)) == (401, "client_error", "token_not_valid", None)


def test_tokens_end_with_the_password_and_with_the_person(client, ana):
    pair = sign_in(client).json()
    ana.set_password("another lamp in the harbour")
    ana.save()
    assert me(pair["access"]).status_code == 401
    renewed = client.post(f"{TOKEN}/refresh", {"refresh": pair["refresh"]}).json()
    assert me(renewed.get("access")).status_code == 401

    pair = sign_in(client, password="another lamp in the harbour").json()
    ana.is_active = False
    ana.save()
    assert me(pair["access"]).status_code == 401
    assert client.post(f"{TOKEN}/refresh", {"refresh": pair["refresh"]}).status_code == 401
    ana.delete()
    assert client.post(f"{TOKEN}/refresh", {"refresh": pair["refresh"]}).status_code == 401


@pytest.mark.parametrize("token", ["", "abc", "a.b.c", "\0"])
def test_what_is_no_token_is_refused(client, db, token):
    assert client.post(f"{TOKEN}/refresh", {"refresh": token}).status_code in (400, 401)
    assert me(token.replace("\0", "0") or "x").status_code == 401


def test_the_session_of_the_pages_opens_the_api_too(ana):
    client = APIClient(enforce_csrf_checks=True)
    client.login(email=ana.email, password=PASSWORD)
    assert client.get("/api/v1/me").json()["name"] == "Ana Ruiz"

    refused = client.patch("/api/v1/me", {"job_title": "SRE"})
    assert error(refused) == (403, "client_error", "permission_denied", None)

    client.cookies["csrftoken"] = token = "0123456789abcdef" * 2
    allowed = client.patch("/api/v1/me", {"job_title": "SRE"}, HTTP_X_CSRFTOKEN=token)
    assert allowed.json()["job_title"] == "SRE"


@pytest.fixture
def client():
    return APIClient()
