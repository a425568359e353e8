"""The Content-Security-Policy of everything that Django answers, and the headers that stand beside it.

What all answers have in common is settings.CONTENT_SECURITY_POLICY; here is what hangs on the request. A view that shows
something of its own kind says so with django-csp's decorators. Scripts run by the nonce of their answer and by nothing
else: `<script nonce="{{ request.csp_nonce }}" src=…>`; modules that they import are covered by it.
"""

from typing import Any

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponseBase

from openalert.acting import ADMIN

# In the session: where forms may lead besides here, as the person came from an identity provider. A form that is sent
# may be answered with a redirect to it (to sign out there, or to have the session confirmed), and browsers look at that.
PROVIDER_ORIGINS = "form_action_origins"

# Below /admin/ only. Django's and Unfold's templates name their scripts without a nonce ('self'); Unfold's Alpine makes
# functions of attributes ('unsafe-eval') and shows and hides by style attributes. Only people with staff status get there.
ADMIN_RELAXED = {"script-src": [SELF, UNSAFE_EVAL], "style-src-attr": [UNSAFE_INLINE]}

# https://www.w3.org/TR/permissions-policy/: what no page of ours asks a browser for, nor may a frame in one.
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "usb",
    )
)
BESIDE = {
    "Permissions-Policy": PERMISSIONS_POLICY,
    # Nobody else's page may load what is ours. Cross-Origin-Opener-Policy is SecurityMiddleware's.
    "Cross-Origin-Resource-Policy": "same-origin",
}


class ContentPolicyMiddleware(CSPMiddleware):
    """Before all that answers, so that errors, redirects and static files have the headers too."""

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Without a thread, as nothing here waits."""
        self.process_request(request)
        return self.process_response(request, await self.get_response(request))  # type: ignore[misc]

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        for name, value in BESIDE.items():
            response.headers.setdefault(name, value)
        return super().process_response(request, response)

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if parts.config is None:  # else the view has a policy of its own, whole
            parts.update = _merged(parts.update or {}, _of_request(request))
        return parts


def _of_request(request: HttpRequest) -> dict[str, list[str]]:
    """What is allowed besides, for this one."""
    allowed = {"connect-src": _live_origin(request), "form-action": _provider_origins(request)}
    return _merged(allowed, ADMIN_RELAXED) if request.path.startswith(ADMIN) else allowed


def _live_origin(request: HttpRequest) -> list[str]:
    """Of the WebSocket: older browsers do not take 'self' for it."""
    try:
        return [f"{'wss' if request.is_secure() else 'ws'}://{request.get_host()}"]
    except DisallowedHost:  # and answered so
        return []


def _provider_origins(request: HttpRequest) -> list[str]:
    """Only where the session was looked at: a page without a person has no form that leads there."""
    session = getattr(request, "session", None)
    return session.get(PROVIDER_ORIGINS, []) if session is not None and session.accessed else []


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, list[str]]:
    return {name: [*one.get(name, ()), *other.get(name, ())] for name in (*one, *other)}
