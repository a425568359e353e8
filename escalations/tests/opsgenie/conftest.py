import json

import pytest

from alerts.enums import Grouping, Source
from alerts.models import Alert, Integration
from alerts.tests.factories import IntegrationFactory
from escalations.tests.pager import Pager


class Genie:
    """A client of the API with one integration's key; `fire` creates alerts as intake would."""

    def __init__(self, client, pager: Pager, integration: Integration) -> None:
        self.client = client
        self.pager = pager
        self.integration = integration
        self.key = integration.key

    def call(self, method: str, path: str, body=None, **query):
        return self.client.generic(
            method,
            f"/v2/{path}",
            json.dumps(body) if body is not None else "",
            "application/json",
            headers={"Authorization": f"GenieKey {self.key}"},
            query_params=query,
        )

    def get(self, path: str, **query):
        response = self.call("GET", path, **query)
        assert response.status_code == 200, response.content
        return response.json()["data"]

    def act(self, method: str, path: str, body=None, **query):
        """Carry something out; returns what the status of the request says: whether it succeeded, and why not."""
        response = self.call(method, path, body, **query)
        told = response.json()
        assert (response.status_code, told["result"]) == (202, "Request will be processed"), told
        status = self.get(f"alerts/requests/{told['requestId']}")
        return status["isSuccess"], status["status"]

    def fire(self, key: str = "disk", **fields) -> Alert:
        self.pager.fire(key, **fields)
        return Alert.objects.get(dedup_key=key, is_current=True)


@pytest.fixture
def genie(client, pager):
    """Every alert has an incident of its own, as with Opsgenie."""
    pager.integration = IntegrationFactory(
        service=pager.service, source=Source.OPSGENIE, grouping=Grouping.NONE, name="Opsgenie"
    )
    return Genie(client, pager, pager.integration)
