"""deploy/kubernetes says what docker-compose.yml says: commands, variables, probes, networks, images."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.version import VERSION
from inference.contract import endpoints
from stack import env_file, manifests
from stack.folders import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OBJECTS = [found for _, found in manifests.read_files()]
NOT_THERE = {  # what the cluster has itself, or what another object does
    *("postgres", "valkey", "seaweedfs", "storage-keys"),
    *("caddy", "prometheus", "grafana"),
    "web-2",  # a second pod of `web`
}
WITH_PROBES = {"web", "gateway"}  # HTTP probes take the place of their check
SITE = [name for name in SERVICES if "DATABASE_URL_FILE" in SERVICES[name].get("environment", {})]


def kinds(kind: str) -> dict[str, dict[str, Any]]:
    return {found["metadata"]["name"]: found for found in OBJECTS if found["kind"] == kind}


PODS = {
    name: one["spec"]["template"]["spec"] for name, one in {**kinds("Deployment"), **kinds("Job")}.items()
}
POD_OF = {one["name"]: pod for pod in PODS.values() for one in pod["containers"]}
CONTAINERS = {one["name"]: one for pod in PODS.values() for one in pod["containers"]}


def resolved(text: str) -> str:
    """Return a text of the compose file with the defaults of its variables."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(text)).replace("$$", "$")


def words(command: str | list[str]) -> list[str]:
    """Return a command of the compose file, without the number of processes, which pods take the place of."""
    parts = shlex.split(resolved(command)) if isinstance(command, str) else map(resolved, command)
    return [part for part in parts if not part.startswith("--workers=")]


def variables_of(file: Path) -> dict[str, str]:
    """Return what an env file sets, or would if its line were none of a comment."""
    lines = re.findall(r"^#?([A-Z0-9_]+=.*)$", file.read_text(), re.MULTILINE)
    return env_file.values_of("\n".join(lines))


def given_to(container: dict[str, Any]) -> dict[str, str]:
    """Return what a container's environment says in the base."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        file = source["configMapRef"]["name"].removeprefix("polyscribe-")
        found |= variables_of(manifests.FOLDER / "base" / f"{file}.env")
    return found | {one["name"]: one.get("value", "") for one in container.get("env", [])}


def test_each_service_has_a_container_that_runs_its_command_with_its_variables():
    assert CONTAINERS.keys() == SERVICES.keys() - NOT_THERE
    for name, container in CONTAINERS.items():
        service = SERVICES[name]
        given = {one.removesuffix("_FILE") for one in given_to(container)}
        wanted = {one.removesuffix("_FILE") for one in service["environment"]}
        command = container.get("command", []) + container.get("args", [])
        if name == "base-model":  # the folder for adapters is made by the volume
            assert service["command"][0].replace("$$", "$").endswith(command[-1])
            assert wanted <= given
            continue
        assert words(command) == [*service.get("entrypoint", []), *words(service.get("command", []))]
        assert given == wanted, name


def test_variables_have_the_defaults_of_the_compose_file_where_they_have_one():
    own = {"WEB_WORKERS", "ENGINE_MAX_LORAS", "TRUSTED_PROXIES"}  # their comments say why
    for name in ("web", "vllm"):
        given = given_to(CONTAINERS[name])
        for variable, value in SERVICES[name]["environment"].items():
            if ":-" in str(value) and variable in given.keys() - own:
                assert given[variable] == resolved(value), variable


def test_a_container_has_the_time_the_memory_and_the_check_of_its_service():
    for name in set(SITE) - NOT_THERE:
        service, container = SERVICES[name], CONTAINERS[name]
        stop_s = int(service["stop_grace_period"].removesuffix("s"))
        assert POD_OF[name]["terminationGracePeriodSeconds"] >= stop_s, name
        memory = resolved(service["mem_limit"]).replace("g", "Gi").replace("m", "Mi")
        assert container["resources"]["limits"]["memory"] == memory, name
        if name in WITH_PROBES | {"migrate"}:
            continue
        kind, command = service["healthcheck"]["test"]
        probe = container["livenessProbe"]
        assert kind == "CMD-SHELL"
        if "exec" in probe:
            assert probe["exec"]["command"] == ["sh", "-c", command.replace("$$", "$")], name
        else:
            assert f":{probe['httpGet']['port']}{probe['httpGet']['path']}" in command, name


def test_a_new_version_waits_for_its_migrations():
    for name in set(SITE) - NOT_THERE - {"migrate"}:
        [waits] = [one for one in POD_OF[name]["initContainers"] if one["name"] == "migrated"]
        assert waits["image"] == CONTAINERS[name]["image"]
        assert "migrate --check" in waits["args"][-1]
        assert given_to(waits).keys() <= given_to(CONTAINERS[name]).keys()


def test_each_secret_that_is_named_is_a_file_of_make_secrets_or_told_in_the_docs():
    named: set[str] = set()
    for file in ("settings.env", "engine.env", "outgoing.env"):
        text = (manifests.FOLDER / "base" / file).read_text()
        named |= set(re.findall(r"^\w+_FILE=/run/secrets/(\w+)$", text, re.MULTILINE))
    page = (ROOT / "docs" / "scaling.md").read_text()
    assert {name for name in named - env_file.FILES.keys() if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("name", ["web", "gateway"])
def test_what_serves_drains_before_it_ends(name):
    container = CONTAINERS[name]
    hooks = container["lifecycle"]
    path = given_to(container)["DRAINING_PATH"]
    noticed_s = int(re.fullmatch(rf"touch {path} && sleep (\d+)", hooks["preStop"]["exec"]["command"][-1])[1])
    assert hooks["postStart"]["exec"]["command"] == ["rm", "-f", path], "/tmp outlives a container"
    stop_s = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert POD_OF[name]["terminationGracePeriodSeconds"] >= stop_s + noticed_s
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        [header] = container[probe]["httpGet"]["httpHeaders"]
        assert header["value"] in given_to(container)["DJANGO_ALLOWED_HOSTS"].split(",")


def test_images_are_those_of_the_compose_file_and_of_this_version():
    for name, container in CONTAINERS.items():
        image = SERVICES[name]["image"].split(":")[0] if name in SITE else SERVICES[name]["image"]
        assert container["image"] == image
    for file in ("base", "training"):
        made = yaml.safe_load((manifests.FOLDER / file / "kustomization.yaml").read_text())
        assert [image["newTag"] for image in made["images"]] == [VERSION]


def test_no_pod_has_a_right_that_it_does_not_need():
    for name, pod in PODS.items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, "a Service named web would set WEB_PORT"
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            rights = container["securityContext"]
            assert rights["capabilities"] == {"drop": ["ALL"]}, container["name"]
            assert rights["allowPrivilegeEscalation"] is False
            if container["name"] == "vllm":
                assert SERVICES["vllm"]["user"] == f"{rights['runAsUser']}:{rights['runAsGroup']}" == "2000:0"
            is_vllm = container["image"].startswith("vllm/")
            assert is_vllm or rights["readOnlyRootFilesystem"] is True
            assert {"requests", "limits"} <= container["resources"].keys()


def test_only_the_site_reaches_the_engine_and_what_trains_reaches_nothing_outside():
    policies = kinds("NetworkPolicy")
    assert policies["nobody-by-default"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    [rule] = policies["engine-from-the-site"]["spec"]["ingress"]
    [site, monitoring] = rule["from"]
    [expression] = site["podSelector"]["matchExpressions"]
    in_network = {name for name in SITE if "engine" in SERVICES[name]["networks"]} - NOT_THERE
    without = {"engine-worker", "migrate"}  # in the engine's own pod; asks for nothing
    assert set(expression["values"]) - {"vllm", "exporter"} == in_network - without
    assert monitoring.keys() == {"namespaceSelector"}
    assert rule["ports"] == [{"port": 8001}]
    for name in ("engine-to-the-stores", "training-to-stores-and-engine"):
        for way in policies[name]["spec"]["egress"]:
            assert all("ipBlock" not in target and target != {} for target in way["to"]), name
    reached = {
        name
        for name, policy in policies.items()
        for way in policy["spec"].get("ingress", [])
        if any("ingress" in str(source) for source in way["from"])
    }
    assert reached == {"pages-and-api-from-the-ingress"}


def test_only_pages_and_gateways_have_the_keys_that_sign_receipts():
    holding = {name for name, pod in PODS.items() if "polyscribe-receipts" in str(pod["volumes"])}
    assert holding == {"web", "gateway"}
    assert {name for name in CONTAINERS if "RECEIPT_KEYS_FILE" in given_to(CONTAINERS[name])} == holding


def test_only_what_sends_mail_and_takes_payments_has_their_secrets():
    holding = {name for name, pod in PODS.items() if "polyscribe-outgoing" in str(pod["volumes"])}
    assert holding == {"web", "webhooks"}
    for variable in ("EMAIL_URL_FILE", "STRIPE_SECRET_KEY_FILE", "STRIPE_WEBHOOK_SECRET_FILE"):
        assert {name for name in CONTAINERS if variable in given_to(CONTAINERS[name])} == holding
        assert variable not in variables_of(manifests.FOLDER / "base" / "settings.env")


def test_only_what_sends_mail_takes_payments_or_fetches_the_model_reaches_the_outside():
    policies = kinds("NetworkPolicy")
    outside = {
        name
        for policy in policies.values()
        if any("ipBlock" in target for way in policy["spec"].get("egress", []) for target in way["to"])
        for name in names_of(policy)
    }
    # In compose the gateway is there, too: a published port needs such a network.
    reaching = {name for name, one in SERVICES.items() if "outside" in one.get("networks", [])}
    assert outside == reaching - NOT_THERE - {"gateway"}
    assert set(names_of(policies["site-to-stores-and-engine"])) == {*SITE} - NOT_THERE - {
        "engine-worker",  # in the engine's own pod
        "worker-training",  # has a policy of its own
    }


def names_of(policy: dict[str, Any]) -> list[str]:
    """Return the names of the pods that a policy is about, where it selects them by several names."""
    [expression] = policy["spec"]["podSelector"]["matchExpressions"]
    return expression["values"]


def test_the_ingress_has_the_paths_of_caddy():
    caddy = (ROOT / "deploy" / "Caddyfile").read_text()
    of_site = set(re.search(r"@jobs path (.+)", caddy)[1].split())
    of_api = set(re.search(r"@api path (.+)", caddy)[1].split())
    [rule] = kinds("Ingress")["polyscribe"]["spec"]["rules"]
    found: dict[str, set[str]] = {"web": set(), "gateway": set()}
    for path in rule["http"]["paths"]:
        found[path["backend"]["service"]["name"]].add(path["path"])
    # An Ingress knows no `resp_*`: what is not the gateway's own is the site's.
    assert found["web"] == {path.removesuffix("/resp_*").removesuffix("/*") for path in of_site} | {"/"}
    own = {path for path in endpoints.METHODS if path.startswith("/v1/responses")}
    assert found["gateway"] == {path.removesuffix("/*") for path in of_api} | own


def test_proxies_bound_bodies_before_the_site_reads_them():
    ingresses = kinds("Ingress")
    size = "nginx.ingress.kubernetes.io/proxy-body-size"
    assert {name: one["metadata"]["annotations"][size] for name, one in ingresses.items()} == {
        "polyscribe": "4m",
        "polyscribe-files": "201m",
    }
    [rule] = ingresses["polyscribe-files"]["spec"]["rules"]
    assert [(path["path"], path["pathType"]) for path in rule["http"]["paths"]] == [("/v1/files", "Exact")]
    caddy = (ROOT / "deploy" / "Caddyfile").read_text()
    assert re.findall(r"request_body (@\w+) \{\s+max_size (\w+)", caddy) == [
        ("@upload", "201MiB"),
        ("@others", "4MiB"),
    ]
    nginx = (ROOT / "docs" / "running.md").read_text()
    assert "client_max_body_size 4m;" in nginx


def test_the_engine_is_divided_by_the_most_gateways_that_can_be():
    [scaler] = kinds("HorizontalPodAutoscaler").values()
    settings = variables_of(manifests.FOLDER / "base" / "settings.env")
    parts = int(settings["WEB_WORKERS"])
    assert scaler["spec"]["maxReplicas"] + 1 == parts
    assert "--workers=1" in CONTAINERS["gateway"]["args"]
    replicas = kinds("Deployment")["web"]["spec"]["replicas"]
    webs_parts = int(given_to(CONTAINERS["web"])["WEB_WORKERS"])
    assert webs_parts == replicas * parts
    slots = int(variables_of(manifests.FOLDER / "base" / "engine.env")["ENGINE_MAX_LORAS"]) - 1
    assert webs_parts <= slots, "each process would warn that it uses at least one slot"
    assert kinds("PodDisruptionBudget").keys() == {"web", "gateway"}


def test_vllm_waits_for_the_model_that_its_launcher_needs(tmp_path):
    [wait] = [one["args"] for one in PODS["vllm"]["initContainers"] if one["name"] == "model-fetched"]
    environment = {"PATH": os.environ["PATH"], "BASE_MODEL_DIR": str(tmp_path)}
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(wait, env=environment, timeout=0.3)
    (tmp_path / "config.json").touch()
    assert subprocess.run(wait, env=environment, timeout=60).returncode == 0


def test_a_job_goes_after_its_end_because_it_cannot_be_changed():
    page = (ROOT / "docs" / "scaling.md").read_text()
    assert f"delete job {' '.join(sorted(kinds('Job'), reverse=True))} " in page
    assert {job["spec"]["ttlSecondsAfterFinished"] for job in kinds("Job").values()} == {600}


@pytest.mark.parametrize("folder", ["base", "example"])
def test_storage_is_in_the_cluster_where_policies_let_pods_reach_it(folder):
    settings = variables_of(manifests.FOLDER / folder / "settings.env")
    assert settings["S3_ENDPOINT_URL"].endswith(".svc")


def test_a_wrong_object_is_a_fault(monkeypatch, capsys):
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"port": 1}}
    monkeypatch.setattr(manifests, "read_files", lambda: [("here", wrong)])
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert manifests.check() == 1
    assert "here: Service a, 1.33" in capsys.readouterr().out


def test_what_is_rendered_elsewhere_or_read_by_nobody_is_a_fault():
    own = {"kind": "ConfigMap", "metadata": {"name": "polyscribe-engine-1a", "namespace": "polyscribe"}}
    pod = {"kind": "Pod", "metadata": {"name": "a"}, "spec": {"from": "polyscribe-engine-2b"}}
    assert list(manifests.find_misplaced([own])) == []
    [elsewhere, unread] = manifests.find_misplaced([own, pod])
    assert elsewhere == "rendered: Pod a is not in polyscribe"
    assert "polyscribe-engine-2b" in unread
