"""The root of the REST API, its document and the page to try it."""

from csp.decorators import csp_update
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.utils.decorators import method_decorator
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class UnknownAddressView(APIView):
    """Answers what no other pattern under /api/ does, in the shape of the API's errors."""

    authentication_classes = []
    permission_classes = [AllowAny]
    schema = None

    def initial(self, request: Request, *args: str, **kwargs: str) -> None:
        raise NotFound("There is nothing at this address.")


class DocumentationView(SpectacularSwaggerView):
    """Swagger's page, from files of this installation. Its pictures are in its style sheet (data:)."""

    url_name = "api-schema"
    template_name = "api_docs.html"
    schema = None

    @method_decorator(csp_update({"img-src": ["data:"]}))
    def get(self, request: Request, *args: str, **kwargs: str) -> Response:
        response = super().get(request, *args, **kwargs)
        del response.headers["Cross-Origin-Opener-Policy"]  # loosened for OAuth, of which the API has none
        return response


v1: list[URLPattern | URLResolver] = [
    path("", include("teams.api.urls")),
    path("", include("incidents.api.urls")),
    path("", include("alerts.api.urls")),
    path("", include("notifications.api.urls")),
    path("", include("escalations.api.urls")),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include((v1, "api"))),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs", RedirectView.as_view(pattern_name="api-docs")),
    path("api/docs/", DocumentationView.as_view(), name="api-docs"),
    re_path(r"^api/", UnknownAddressView.as_view()),
]
