from django.urls import path

from . import links, sendgrid, slack, twilio

urlpatterns = [
    path("hooks/twilio/sms/", twilio.incoming_message, name="twilio-sms"),
    path("hooks/twilio/messages/<uuid:pk>/status/", twilio.message_status, name="twilio-message-status"),
    path("hooks/twilio/calls/<uuid:pk>/", twilio.call, name="twilio-call"),
    path("hooks/twilio/calls/<uuid:pk>/keys/", twilio.call_keys, name="twilio-call-keys"),
    path("hooks/twilio/calls/<uuid:pk>/status/", twilio.call_status, name="twilio-call-status"),
    path("hooks/sendgrid/events/", sendgrid.events, name="sendgrid-events"),
    path("hooks/slack/", slack.interaction, name="slack-interaction"),
    path("answer/<str:token>/", links.answer, name="answer"),
]
