"""docs/kubernetes: valid by Kubernetes' own schemas, and in agreement with docker-compose.yml."""

import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / "docs" / "kubernetes" / "openalert.yaml").read_text()
VERSION = "1.31"
MANIFESTS = list(yaml.safe_load_all(TEXT))


def of_kind(kind):
    return {manifest["metadata"]["name"]: manifest for manifest in MANIFESTS if manifest["kind"] == kind}


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda m: f"{m['kind']} {m['metadata']['name']}")
def test_manifest_is_valid(manifest):
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def containers():
    for kind in ("Deployment", "Job"):
        for manifest in of_kind(kind).values():
            pod = manifest["spec"]["template"]["spec"]
            yield pod, pod["containers"][0]


def test_no_container_has_rights_that_it_does_not_need():
    for pod, container in containers():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_programs_are_those_of_compose():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    programs = {container["name"]: container["command"] for _, container in containers()}
    assert programs == {name: services[name]["command"] for name in programs}
    assert sorted(programs) == ["beat", "courier", "migrate", "sender", "web", "worker"]


def test_every_setting_is_one_that_we_read():
    example = (ROOT / ".env.example").read_text()
    known = set(re.findall(r"^#(\w+)=", example, re.MULTILINE)) | {"MIGRATION_DATABASE_URL"}
    [settings] = of_kind("ConfigMap").values()
    secret = set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", TEXT.partition("apiVersion")[0]))
    assert {*settings["data"], *secret} <= known


def test_no_secret_is_in_the_file():
    """Applying it would empty the one that is there."""
    assert of_kind("Secret") == {}


def test_web_is_stopped_only_after_it_has_finished():
    pod = of_kind("Deployment")["openalert-web"]["spec"]["template"]["spec"]
    web = pod["containers"][0]
    [given] = [part for part in web["command"] if part.startswith("--timeout-graceful-shutdown=")]
    pause = next(int(variable["value"]) for variable in web["env"] if variable["name"] == "DRAIN_SECONDS")
    assert pause + int(given.partition("=")[2]) < pod["terminationGracePeriodSeconds"]
    assert (web["livenessProbe"]["httpGet"]["path"], web["readinessProbe"]["httpGet"]["path"]) == (
        "/healthz",
        "/readyz",
    )
