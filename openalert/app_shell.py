"""What makes an app of the pages: the manifest that browsers install from, and the page for when nobody answers.

static/js/service-worker.js keeps that page, and the list of incidents as it was seen last.
"""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET

HOUR = 3600


@require_GET
@cache_control(public=True, max_age=HOUR)
def manifest(request: HttpRequest) -> JsonResponse:
    """W3C Web Application Manifest."""
    icons = [
        {"src": static("img/app-192.png"), "sizes": "192x192", "type": "image/png", "purpose": "any"},
        {"src": static("img/app-512.png"), "sizes": "512x512", "type": "image/png", "purpose": "any"},
        {
            "src": static("img/app-maskable-512.png"),
            "sizes": "512x512",
            "type": "image/png",
            "purpose": "maskable",
        },
        {"src": static("img/favicon.svg"), "sizes": "any", "type": "image/svg+xml", "purpose": "any"},
    ]
    shortcuts = [("Incidents", "incidents"), ("On call now", "on-call"), ("My pages", "my-pages")]
    return JsonResponse(
        {
            "id": "/",
            "name": "OpenAlert",
            "short_name": "OpenAlert",
            "description": "Incidents, who is on call, and what is paged.",
            "start_url": reverse("incidents"),
            "scope": "/",
            "display": "standalone",
            "background_color": "#f5f4ef",
            "theme_color": "#0b3f47",
            "icons": icons,
            "shortcuts": [{"name": name, "url": reverse(page)} for name, page in shortcuts],
        },
        content_type="application/manifest+json",
    )


@require_GET
@cache_control(public=True, max_age=HOUR)
def offline_page(request: HttpRequest) -> HttpResponse:
    """Says nothing about anybody: it is kept in browsers, and shown whoever is signed in."""
    return render(request, "offline.html")
