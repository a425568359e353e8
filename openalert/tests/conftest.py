"""Fixtures for the tests of what is made of all apps."""

import pytest
from django.test import Client

from teams.models import User


@pytest.fixture
def administrator(client: Client, db: None) -> User:
    """Is signed in with `client`."""
    user = User.objects.create_superuser("root@example.org", "x", name="Root")
    client.force_login(user)
    return user
