"""What a provider tells of a page is seen at once by whoever looks at the incident or at their own page."""

import pytest
from django.utils import timezone

from incidents.tests.factories import IncidentFactory
from notifications import receipts
from notifications.enums import Channel, NotificationStatus, Purpose, Receipt
from notifications.tests.factories import ContactMethodFactory, DeliveryAttemptFactory, NotificationFactory
from openalert.tests.browser import running_browser, sign_in
from openalert.tests.programs import needs
from openalert.tests.stack import running_stack
from teams.enums import Role
from teams.tests.factories import PASSWORD, MembershipFactory, UserFactory


@pytest.mark.timeout(240)
@needs("chromium")
def test_what_became_of_a_page_is_shown_live(transactional_db, monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    ana = UserFactory(name="Ana Ruiz")
    method = ContactMethodFactory(user=ana, channel=Channel.SMS, address="+14155550123")
    incident = IncidentFactory()
    MembershipFactory(user=ana, team=incident.service.team, role=Role.RESPONDER)
    sent = {"status": NotificationStatus.SENT, "attempt_count": 1, "user": ana, "contact_method": method}
    page = NotificationFactory(incident=incident, **sent)
    test = NotificationFactory(
        purpose=Purpose.TEST, incident=None, run_id=None, created_at=timezone.now(), **sent
    )
    for notification, sid in ((page, "SM1"), (test, "SM2")):
        DeliveryAttemptFactory(notification=notification, provider_id=sid)
    with running_stack() as stack, running_browser() as browser:
        looks = browser.new_context().new_page()
        sign_in(looks, stack.url, ana.email, PASSWORD)
        looks.goto(f"{stack.url}{incident.get_absolute_url()}")
        looks.get_by_text("Live", exact=True).wait_for()
        receipts.take(notification_id=page.pk, provider_id="SM1", receipt=Receipt.DELIVERED)
        looks.get_by_text("The page to Ana Ruiz by SMS: delivered").wait_for()
        looks.get_by_text("SMS, delivered").wait_for()

        looks.goto(f"{stack.url}/me/")
        looks.get_by_text("Test sent").wait_for()
        looks.get_by_text("Live", exact=True).wait_for()
        receipts.take(notification_id=test.pk, provider_id="SM2", receipt=Receipt.PASSED_ON)
        looks.get_by_text("Test sent, passed on").wait_for()
        receipts.take(notification_id=test.pk, provider_id="SM2", receipt=Receipt.DELIVERED)
        looks.get_by_text("Test sent, delivered").wait_for()
