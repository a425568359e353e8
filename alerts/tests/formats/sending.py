"""What the formats' tests send through the door, and what became of it."""

import asyncio
import json
from pathlib import Path

import httpx

from alerts.models import Alert
from openalert.asgi import application

PAYLOADS = Path(__file__).parent.parent / "payloads"


def payload(name):
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def send(integration, content, *, method="POST", query="", **headers):
    """`headers` with “_” for “-”. Content that is no bytes is sent as JSON."""
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
    path = f"/integrations/{integration.source}/{integration.key}{query}"

    async def request():
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            named = {name.replace("_", "-"): value.encode("latin-1") for name, value in headers.items()}
            return await client.request(method, path, content=content, headers=named)

    return asyncio.run(request())


def outcomes(response):
    assert response.status_code == 202, response.text
    return [alert["outcome"] for alert in response.json()["alerts"]]


def error(response):
    """The status, and the code and field of the only error."""
    [told] = response.json()["errors"]
    return response.status_code, told["code"], told["field"]


def stored():
    return list(Alert.objects.order_by("created_at").values_list("dedup_key", "status"))
