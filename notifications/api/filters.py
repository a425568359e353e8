import django_filters as filters

from incidents.enums import Urgency
from notifications.enums import Channel, NotificationStatus, Purpose, WebhookDeliveryStatus, WebhookEvent
from notifications.models import Notification, NotificationRule, Webhook, WebhookDelivery


class NotificationRuleFilter(filters.FilterSet):
    urgency = filters.ChoiceFilter(choices=Urgency.choices)

    class Meta:
        model = NotificationRule
        fields = ["urgency"]


class NotificationFilter(filters.FilterSet):
    status = filters.MultipleChoiceFilter(choices=NotificationStatus.choices)
    channel = filters.MultipleChoiceFilter(choices=Channel.choices)
    purpose = filters.ChoiceFilter(choices=Purpose.choices)
    user = filters.UUIDFilter(field_name="user_id")
    incident = filters.UUIDFilter(field_name="incident_id")
    is_seen = filters.BooleanFilter(field_name="seen_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Notification
        fields = ["status", "channel", "purpose", "user", "incident", "is_seen"]


class DeadLetterFilter(filters.FilterSet):
    channel = filters.MultipleChoiceFilter(choices=Channel.choices)
    purpose = filters.ChoiceFilter(choices=Purpose.choices)
    user = filters.UUIDFilter(field_name="user_id")
    incident = filters.UUIDFilter(field_name="incident_id")

    class Meta:
        model = Notification
        fields = ["channel", "purpose", "user", "incident"]


class WebhookFilter(filters.FilterSet):
    team = filters.UUIDFilter(field_name="team_id")
    is_enabled = filters.BooleanFilter()

    class Meta:
        model = Webhook
        fields = ["team", "is_enabled"]


class WebhookDeliveryFilter(filters.FilterSet):
    status = filters.MultipleChoiceFilter(choices=WebhookDeliveryStatus.choices)
    event = filters.MultipleChoiceFilter(choices=WebhookEvent.choices)
    incident = filters.UUIDFilter(field_name="incident_id")

    class Meta:
        model = WebhookDelivery
        fields = ["status", "event", "incident"]
