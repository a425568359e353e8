"""The intake answers as the OpenAPI document says."""

import asyncio
import json

import httpx
import pytest
from jsonschema import Draft202012Validator

from alerts.addresses import NATIVE_PATH
from alerts.bodies import MAX_BODY_BYTES
from alerts.door import Door
from alerts.tests.factories import IntegrationFactory
from openalert.tests.api_client import check, document

pytestmark = pytest.mark.django_db(transaction=True)


def post(path, body, key=""):
    async def send():
        transport = httpx.ASGITransport(Door())
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await client.post(path, content=body, headers={"Authorization": f"Bearer {key}"})

    return asyncio.run(send())


def is_documented(payload):
    schema = document()["paths"][NATIVE_PATH]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": document()["components"]}).is_valid(payload)


@pytest.mark.parametrize(
    "payload",
    [
        {"title": "Disk full"},
        [{"title": "Disk full", "external_id": "disk", "severity": "low", "source": "cron"}],
        {"alerts": [{"title": "Disk full", "metadata": {"tags": ["host:db1"]}}]},
        {"external_id": "disk", "status": "resolved"},
        document()["components"]["schemas"]["AlertInput"]["example"],
    ],
)
def test_what_the_document_allows_is_taken(payload):
    assert is_documented(payload)
    response = post(NATIVE_PATH, json.dumps(payload), IntegrationFactory().key)
    assert response.status_code == 202
    check("POST", NATIVE_PATH, response)


@pytest.mark.parametrize(
    "payload",
    [
        {"title": "Disk full", "colour": "red"},
        [{"title": "good"}, {"title": "bad", "severity": "worst"}],
        {"title": 7},
        "Disk full",
    ],
)
def test_what_the_document_forbids_is_refused_in_its_shape(payload):
    assert not is_documented(payload)
    response = post(NATIVE_PATH, json.dumps(payload), IntegrationFactory().key)
    assert response.status_code == 400
    check("POST", NATIVE_PATH, response)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (NATIVE_PATH, "{}", 401),
        (NATIVE_PATH, " " * (MAX_BODY_BYTES + 1), 413),
        ("/integrations/alertmanager/unknown", "{}", 401),
    ],
)
def test_other_refusals_have_the_shape_of_errors(path, body, status):
    response = post(path, body, key="unknown")
    assert response.status_code == status
    check("POST", path, response)
