"""A certified OpenID provider (npm's oidc-provider) as a process of its own."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from openalert.tests.stack import free_port

FOLDER = Path(__file__).parent
CLIENT_ID, CLIENT_SECRET = "openalert", "a-secret-of-the-tests"


class OpenIDProvider:
    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"

    def set_accounts(self, **accounts: dict[str, Any]) -> None:
        """The people there are, by subject, with their claims."""
        httpx.put(f"{self.issuer}/_accounts", json=accounts).raise_for_status()

    def asked(self, path: str) -> list[dict[str, str]]:
        """The queries with which it was asked for `path`, the oldest first."""
        return [one["query"] for one in httpx.get(f"{self.issuer}/_asked").json() if one["path"] == path]


class Person:
    """Somebody's browser at the provider: keeps its cookies, fills in its forms."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.http = httpx.Client()

    def go(self, address: str) -> str:
        """Follow the provider from `address`; the address of ours that it sends the person to."""
        home = address.split("/", 3)[2]
        response = self.http.get(address)
        for _ in range(12):
            if response.is_redirect:
                address = str(response.url.join(response.headers["Location"]))
                if address.split("/", 3)[2] != home:
                    return address
                response = self.http.get(address)
                continue
            form = re.search(r'<form[^>]*action="([^"]+)"', response.text)
            assert form, response.text
            fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', response.text))
            fields |= {"login": self.subject, "password": "any"} if 'name="login"' in response.text else {}
            fields |= {"logout": "yes"} if "xsrf" in fields else {}
            response = self.http.post(str(response.url.join(form[1])), data=fields)
        raise AssertionError("it goes round in circles")


@contextmanager
def running(redirect_uri: str, after_sign_out: str) -> Iterator[OpenIDProvider]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json", "server.mjs"):
            shutil.copy(FOLDER / name, folder)
        npm = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(npm, cwd=folder, check=True, timeout=120)
        command = ["node", "server.mjs", str(port), redirect_uri, after_sign_out]
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as child:
            try:
                assert child.stdout
                # It may say other things first.
                assert any(line.strip() == b"listening" for line in child.stdout), (
                    "the provider did not start"
                )
                yield OpenIDProvider(port)
            finally:
                child.kill()
