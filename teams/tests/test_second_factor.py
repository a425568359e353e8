"""Codes beside the password: each opens once, at every door."""

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pyotp
import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse

from openalert.models import AuditEntry
from teams import second_factor
from teams.identity.exceptions import SecondFactorWrong
from teams.models import Notice, RecoveryCode, SecondFactor
from teams.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

LOGIN, TOKEN = "/accounts/login/", "/api/v1/auth/token"
RECOVERY_CODE = re.compile(r"\b(?:[a-z2-7]{4}-){3}[a-z2-7]{4}\b")
NEXT = "/me/?from=here"


@pytest.fixture
def ana():
    return UserFactory(name="Ana Ruiz", email="ana@example.org")


def app(user):
    return pyotp.TOTP(SecondFactor.objects.get(user=user).secret)


def turn_on(user):
    """Gives the recovery codes."""
    second_factor.begin(user)
    codes = second_factor.confirm(user, app(user).now())
    user.refresh_from_db()
    return codes


def code_of(user, clock):
    """The code that the app shows once its next one has come."""
    clock.advance(seconds=30)
    return app(user).now()


def half_way(client, email="ana@example.org"):
    return client.post(LOGIN, {"username": email, "password": PASSWORD, "next": NEXT})


def is_in(client):
    return client.get(reverse("me")).status_code == 200


def token(**body):
    cache.clear()
    response = Client().post(
        TOKEN, {"email": "ana@example.org", "password": PASSWORD, **body}, "application/json"
    )
    return response.status_code, response.json().get("errors", [{"code": ""}])[0]["code"]


def told():
    return list(AuditEntry.objects.exclude(action="changed").order_by("id").values_list("action", flat=True))


def test_it_is_set_up_on_the_page_and_asked_for_from_then_on(ana, clock):
    client, other = Client(), Client()
    client.force_login(ana)
    other.force_login(ana)
    page = reverse("second-factor")
    assert client.post(reverse("second-factor-begin"), {"password": "wrong"}).status_code == 422
    assert not SecondFactor.objects.exists()
    client.post(reverse("second-factor-begin"), {"password": PASSWORD})
    shown = client.get(page)
    secret = SecondFactor.objects.get().secret
    assert "<svg" in shown.text and "style=" not in shown.text
    assert secret in "".join(shown.text.split()) and "no-store" in shown["Cache-Control"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM teams_secondfactor")
        assert cursor.fetchone()[0].startswith("fernet:")
    assert half_way(Client())["Location"] == NEXT, "not before it is confirmed"
    assert client.post(reverse("second-factor-confirm"), {"code": "000000"}).status_code == 422

    first = app(ana).now()
    codes = RECOVERY_CODE.findall(client.post(reverse("second-factor-confirm"), {"code": first}).text)
    assert len(set(codes)) == 10
    assert not set(codes) & set(RecoveryCode.objects.values_list("code_hash", flat=True))
    assert is_in(client) and not is_in(other), "who came in without it is out"

    fresh = Client()
    assert half_way(fresh)["Location"] == reverse("login-code")
    assert not is_in(fresh)
    again = fresh.post(reverse("login-code"), {"code": first})
    assert again.status_code == 422 and not is_in(fresh), "it was used"
    assert fresh.post(reverse("login-code"), {"code": code_of(ana, clock)})["Location"] == NEXT
    assert is_in(fresh)

    by_recovery = Client()
    half_way(by_recovery)
    assert (
        by_recovery.post(reverse("login-code"), {"code": codes[3].upper().replace("-", " ")})["Location"]
        == NEXT
    )
    half_way(late := Client())
    assert late.post(reverse("login-code"), {"code": codes[3]}).status_code == 422
    assert "9 left" in client.get(page).text

    renewed = client.post(reverse("second-factor-codes"), {"codes-code": code_of(ana, clock)})
    new_codes = RECOVERY_CODE.findall(renewed.text)
    assert len(new_codes) == 10 and late.post(reverse("login-code"), {"code": codes[4]}).status_code == 422

    off = {"off-password": PASSWORD, "off-code": new_codes[0]}
    assert client.post(reverse("second-factor-off"), off | {"off-password": "no"}).status_code == 422
    assert client.post(reverse("second-factor-off"), off | {"off-code": codes[5]}).status_code == 422
    assert client.post(reverse("second-factor-off"), off).status_code == 302
    assert half_way(Client())["Location"] == NEXT
    happened = [action for action in told() if action.startswith(("second_factor", "recovery"))]
    assert happened == [
        "second_factor_failed", "second_factor_on", "second_factor_failed", "recovery_code_used",
        "second_factor_failed", "recovery_codes_renewed", "second_factor_failed", "second_factor_failed",
        "recovery_code_used", "second_factor_off",
    ]  # fmt: skip
    assert Notice.objects.filter(user=ana, path="/me/second-factor/").count() == 4
    assert secret not in str(list(AuditEntry.objects.values()))


def test_the_api_does_not_go_round_it(ana, clock):
    assert token() == (200, "")
    codes = turn_on(ana)
    assert token() == (401, "second_factor_required")
    assert token(otp="123") == (401, "second_factor_wrong")
    assert token(password="wrong", otp=codes[0]) == (401, "no_active_account")
    assert token(otp=(code := code_of(ana, clock))) == (200, "")
    assert token(otp=code) == (401, "second_factor_wrong")
    assert token(otp=codes[0]) == (200, "")
    assert token(otp=codes[0]) == (401, "second_factor_wrong")


def test_codes_cannot_be_guessed(ana, clock):
    codes = turn_on(ana)
    client = Client()
    half_way(client)
    assert [client.post(reverse("login-code"), {"code": "000000"}).status_code for _ in range(4)] == [422] * 4
    assert token(otp="nonsense")[1] == "second_factor_wrong"
    refused = client.post(reverse("login-code"), {"code": codes[0]})
    assert (refused.status_code, refused["Retry-After"]) == (429, "900")
    assert token(otp=codes[0]) == (429, "locked_out")
    clock.advance(minutes=15)
    assert token(otp=codes[0]) == (200, "")
    assert "locked_out" in told()


def test_the_way_half_in_ends(ana, clock):
    codes = turn_on(ana)
    assert Client().get(reverse("login-code"))["Location"] == LOGIN
    half_way(slow := Client())
    clock.advance(minutes=16)
    assert slow.post(reverse("login-code"), {"code": codes[0]})["Location"] == LOGIN
    half_way(overtaken := Client())
    ana.set_password("another lamp, farther out")
    ana.save()
    assert overtaken.post(reverse("login-code"), {"code": codes[0]})["Location"] == LOGIN
    assert not is_in(overtaken)


@pytest.mark.parametrize(
    ("whom", "is_staff", "asked"),
    [("administrators", False, False), ("administrators", True, True), ("everybody", False, True)],
)
def test_it_can_be_required(ana, clock, settings, whom, is_staff, asked):
    settings.SECOND_FACTOR_REQUIRED = whom
    ana.is_staff = is_staff
    ana.save()
    client = Client()
    set_up = reverse("login-set-up")
    assert half_way(client)["Location"] == (set_up if asked else NEXT)
    assert token() == ((403, "second_factor_not_set_up") if asked else (200, ""))
    if asked:
        assert "<svg" in client.get(set_up).text and not is_in(client)
        assert client.post(set_up, {"code": "1"}).status_code == 422 and not is_in(client)
        done = client.post(set_up, {"code": app(ana).now()})
        assert len(RECOVERY_CODE.findall(done.text)) == 10 and f'href="{NEXT}"' in done.text
        assert is_in(client)
        assert half_way(Client())["Location"] == reverse("login-code")


def test_an_administrator_resets_it(ana, clock):
    turn_on(ana)
    client = Client()
    client.force_login(ana)
    admin = Client()
    admin.force_login(UserFactory(name="Root", is_staff=True, is_superuser=True))
    reset = {"action": "reset_second_factor", "_selected_action": [str(ana.pk)]}
    admin.post(reverse("admin:teams_user_changelist"), reset)
    assert not is_in(client) and half_way(client)["Location"] == NEXT
    assert AuditEntry.objects.get(action="second_factor_reset").actor_name == "Root"


def test_who_signs_in_by_the_provider_has_none_here(ana, settings):
    settings.SECOND_FACTOR_REQUIRED = "everybody"
    ana.set_unusable_password()
    ana.save()
    client = Client()
    client.force_login(ana)
    assert "identity provider" in client.get(reverse("second-factor")).text
    assert client.post(reverse("second-factor-begin"), {"password": ""}).status_code == 422


@pytest.mark.django_db(transaction=True)
def test_one_code_sent_twice_at_once_opens_once(clock):
    ana = UserFactory()
    codes = turn_on(ana)
    for code in (code_of(ana, clock), codes[0]):
        together = Barrier(4)

        def use(_, code=code, together=together):
            together.wait(timeout=20)
            try:
                second_factor.check(ana, code)
            except SecondFactorWrong:
                return "refused"
            finally:
                connection.close()
            return "in"

        with ThreadPoolExecutor(4) as threads:
            assert sorted(threads.map(use, range(4))) == ["in", "refused", "refused", "refused"]
