"""What holds for every page: see every_page.py for how they are found."""

import re

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from openalert.tests import every_page

LIVE = re.compile(r"<[a-z]+\b[^<>]*\bdata-live=[^<>]*>")


def count_queries(client, path):
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return [query["sql"] for query in queries]


def test_no_page_asks_more_for_more_rows(db, settings):
    settings.EMAIL_BACKEND = every_page.EMAIL_BACKEND
    scene = every_page.Scene.make()
    client = Client()
    client.force_login(scene.viewer)
    routes = [route for route in every_page.routes(scene) if client.get(route.path).status_code == 200]
    assert len(routes) > 60
    before = {route.path: count_queries(client, route.path) for route in routes}
    for _ in range(2):
        scene.grow()
    after = {route.path: count_queries(client, route.path) for route in routes}
    more = {
        path: (len(before[path]), len(after[path])) for path in before if len(after[path]) > len(before[path])
    }
    assert more == {}


def test_what_is_live_is_fetched_again():
    elements = [
        element
        for template in (settings.BASE_DIR / "templates").rglob("*.html")
        for element in LIVE.findall(template.read_text())
    ]
    assert len(elements) > 30
    assert [element for element in elements if "live-refresh" not in element] == []
