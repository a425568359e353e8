"""Pictures that alerts carry: PagerDuty's `images`, Grafana's panel image.

To show a picture is to fetch it from wherever the alert says: that stranger learns who looks, from which address and when.
So pictures are links, and shown small only from hosts that the installation names (ALERT_IMAGE_HOSTS).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from .formats.reading import is_web_address
from .models import Alert

MOST = 6
GRAFANA = ("imageURL", "image_url")


@dataclass(frozen=True)
class Image:
    """`src` is the picture, `href` where it leads, `is_shown` whether it may be loaded."""

    src: str
    href: str
    alt: str
    is_shown: bool


def images_of(alert: Alert) -> list[Image]:
    """What its metadata has, in order, each once."""
    found: dict[str, Image] = {}
    for src, href, alt in _given(alert.metadata):
        if is_web_address(src):
            leads_to = href if isinstance(href, str) and is_web_address(href) else src
            words = alt if isinstance(alt, str) and alt.strip() else "Image"
            found.setdefault(src, Image(src, leads_to, words, is_shown(src)))
    return list(found.values())[:MOST]


def is_shown(address: str) -> bool:
    """Over TLS, from a host that was named."""
    try:
        parts = urlsplit(address)
        return parts.scheme == "https" and parts.netloc.lower() in settings.ALERT_IMAGE_HOSTS
    except ValueError:
        return False


def _given(metadata: dict[str, Any]) -> Iterator[tuple[Any, Any, Any]]:
    """Source: PagerDuty Events API v2, `images` (src, href, alt); Grafana webhook, `imageURL`."""
    images = metadata.get("images")
    for image in images if isinstance(images, list) else []:
        if isinstance(image, dict):
            yield image.get("src"), image.get("href"), image.get("alt")
        elif isinstance(image, str):
            yield image, None, None
    annotations = metadata.get("annotations")
    for place in (metadata, annotations if isinstance(annotations, dict) else {}):
        for key in GRAFANA:
            if place.get(key):
                yield place[key], place.get("panelURL"), "Panel"
