from django.urls import include, path

from . import dead_letter_views, fragments, mailbox_views, quiet_views, views

urlpatterns = [
    path("", include("notifications.hooks.urls")),
    path("incidents/<int:number>/pages/", fragments.incident_pages, name="incident-pages"),
    path("me/", views.me, name="me"),
    path("me/methods/", views.add_method, name="method-new"),
    path("me/methods/<uuid:pk>/enabled/", views.set_enabled, name="method-enabled"),
    path("me/methods/<uuid:pk>/mended/", views.mend_method, name="method-mended"),
    path("me/methods/<uuid:pk>/remove/", views.remove_method, name="method-remove"),
    path("me/methods/<uuid:pk>/test/", views.test_method, name="method-test"),
    path("me/methods/<uuid:pk>/code/", views.send_code, name="method-code"),
    path("me/methods/<uuid:pk>/verify/", views.verify, name="method-verify"),
    path("service-worker.js", views.service_worker, name="service-worker"),
    path("me/rules/", views.add_rule, name="rule-new"),
    path("me/rules/<uuid:pk>/remove/", views.remove_rule, name="rule-remove"),
    path("me/quiet-hours/", quiet_views.add, name="quiet-hours-new"),
    path("me/quiet-hours/<uuid:pk>/remove/", quiet_views.remove, name="quiet-hours-remove"),
    path("me/deliveries/", views.my_deliveries, name="my-deliveries"),
    path("me/pages/", views.my_pages, name="my-pages"),
    path("me/pages/seen/", views.mark_seen, name="my-pages-seen"),
    path("me/unread/", views.unread, name="unread"),
    path("dead-letters/", dead_letter_views.letters, name="dead-letters"),
    path("dead-letters/replay/", dead_letter_views.replay, name="dead-letters-replay"),
    path("dead-letters/discard/", dead_letter_views.discard, name="dead-letters-discard"),
    path("mailbox/", mailbox_views.mailbox, name="mailbox"),
    path("mailbox/<uuid:pk>/", mailbox_views.mailbox_message, name="mailbox-message"),
]
