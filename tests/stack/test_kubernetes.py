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
from inference.api import endpoints
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


def pods() -> dict[str, dict[str, Any]]:
    """Return each pod's specification by the name of its workload."""
    return {
        name: one["spec"]["template"]["spec"] for name, one in {**kinds("Deployment"), **kinds("Job")}.items()
    }


def containers() -> dict[str, dict[str, Any]]:
    return {one["name"]: one for pod in pods().values() for one in pod["containers"]}


def pod_of(container: str) -> dict[str, Any]:
    return next(pod for pod in pods().values() if container in [one["name"] for one in pod["containers"]])


def resolved(text: str) -> str:
    """Return a text of the compose file with the defaults of its variables."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(text)).replace("$$", "$")


def words(command: str | list[str]) -> list[str]:
    """Return a command of the compose file, without the number of processes, which pods take the place of."""
    parts = (
        shlex.split(resolved(command)) if isinstance(command, str) else [resolved(part) for part in command]
    )
    return [part for part in parts if not part.startswith("--workers=")]


def variables_of(file: Path) -> dict[str, str]:
    """Return what an env file sets, or would if its line were none of a comment."""
    lines = re.findall(r"^#?([A-Z0-9_]+=.*)$", file.read_text(), re.MULTILINE)
    return env_file.values_of("\n".join(lines))


def names_of(variables: set[str]) -> set[str]:
    return {name.removesuffix("_FILE") for name in variables}


def given_to(container: dict[str, Any]) -> dict[str, str]:
    """Return what a container's environment says in the base."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        file = source["configMapRef"]["name"].removeprefix("polyscribe-")
        found |= variables_of(manifests.FOLDER / "base" / f"{file}.env")
    return found | {one["name"]: one.get("value", "") for one in container.get("env", [])}


def test_every_service_has_a_container():
    assert containers().keys() == SERVICES.keys() - NOT_THERE


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - NOT_THERE))
def test_a_container_runs_the_command_of_its_service(name):
    container, service = containers()[name], SERVICES[name]
    if name == "base-model":  # the folder for adapters is made by the volume
        assert service["command"][0].replace("$$", "$").endswith(container["args"][0])
        return
    command = container.get("command", []) + container.get("args", [])
    expected = [*service.get("entrypoint", []), *words(service.get("command", []))]
    assert [part for part in command if not part.startswith("--workers=")] == expected


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - NOT_THERE))
def test_a_container_has_the_variables_of_its_service(name):
    environment = SERVICES[name]["environment"]
    given = given_to(containers()[name])
    if name == "base-model":
        assert names_of(set(environment)) <= names_of(set(given))
        return
    assert names_of(set(given)) == names_of(set(environment))


def test_variables_have_the_defaults_of_the_compose_file_where_they_have_one():
    own = {"WEB_WORKERS", "ENGINE_MAX_LORAS", "TRUSTED_PROXIES"}  # their comments say why
    for container, service in (("web", "web"), ("vllm", "vllm")):
        given = given_to(containers()[container])
        for name, value in SERVICES[service]["environment"].items():
            if isinstance(value, str) and ":-" in value and name in given and name not in own:
                assert given[name] == resolved(value), name


def test_each_secret_that_is_named_is_a_file_of_make_secrets_or_told_in_the_docs():
    named: set[str] = set()
    for file in ("settings.env", "engine.env"):
        text = (manifests.FOLDER / "base" / file).read_text()
        named |= set(re.findall(r"^\w+_FILE=/run/secrets/(\w+)$", text, re.MULTILINE))
    page = (ROOT / "docs" / "scaling.md").read_text()
    assert {name for name in named - env_file.FILES.keys() if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("name", sorted(set(SITE) - NOT_THERE - WITH_PROBES - {"migrate"}))
def test_a_worker_is_checked_as_compose_checks_it(name):
    kind, command = SERVICES[name]["healthcheck"]["test"]
    probe = containers()[name]["livenessProbe"]
    assert kind == "CMD-SHELL"
    if "exec" in probe:
        assert probe["exec"]["command"] == ["sh", "-c", command.replace("$$", "$")]
    else:
        assert f":{probe['httpGet']['port']}{probe['httpGet']['path']}" in command


@pytest.mark.parametrize("name", ["web", "gateway"])
def test_what_serves_drains_before_it_ends(name):
    container = containers()[name]
    script = (ROOT / "deploy" / "replace.sh").read_text()
    noticed_s = int(re.search(r"^noticed_s=(\d+)", script, re.MULTILINE)[1])
    hooks = container["lifecycle"]
    path = given_to(container)["DRAINING_PATH"]
    assert hooks["preStop"]["exec"]["command"] == ["sh", "-c", f"touch {path} && sleep {noticed_s}"]
    assert hooks["postStart"]["exec"]["command"] == ["rm", "-f", path], "/tmp outlives a container"
    stop_s = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert pod_of(name)["terminationGracePeriodSeconds"] >= stop_s + noticed_s
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        [header] = container[probe]["httpGet"]["httpHeaders"]
        assert header["value"] in given_to(container)["DJANGO_ALLOWED_HOSTS"].split(",")


@pytest.mark.parametrize("name", sorted(set(SITE) - NOT_THERE))
def test_a_container_has_the_time_and_the_memory_of_its_service(name):
    stop_s = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert pod_of(name)["terminationGracePeriodSeconds"] >= stop_s
    memory = resolved(SERVICES[name]["mem_limit"]).replace("g", "Gi").replace("m", "Mi")
    assert containers()[name]["resources"]["limits"]["memory"] == memory


def test_images_are_those_of_the_compose_file_and_of_this_version():
    for name, container in containers().items():
        image = SERVICES[name]["image"].split(":")[0] if name in SITE else SERVICES[name]["image"]
        assert container["image"] == image
    for file in ("base", "training"):
        made = yaml.safe_load((manifests.FOLDER / file / "kustomization.yaml").read_text())
        assert [image["newTag"] for image in made["images"]] == [VERSION]


@pytest.mark.parametrize("name", sorted(set(SITE) - NOT_THERE - {"migrate"}))
def test_a_new_version_waits_for_its_migrations(name):
    [waits] = [one for one in pod_of(name)["initContainers"] if one["name"] == "migrated"]
    assert waits["image"] == containers()[name]["image"]
    assert "migrate --check" in waits["args"][-1]
    assert given_to(waits).keys() <= given_to(containers()[name]).keys()


def test_no_pod_has_a_right_that_it_does_not_need():
    for name, pod in pods().items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, "a Service named web would set WEB_PORT"
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            rights = container["securityContext"]
            assert rights["capabilities"] == {"drop": ["ALL"]}, container["name"]
            assert rights["allowPrivilegeEscalation"] is False
            is_vllm = container["image"].startswith("vllm/")
            assert is_vllm or rights["readOnlyRootFilesystem"] is True
            assert {"requests", "limits"} <= container["resources"].keys()


def test_only_the_site_reaches_the_engine_and_what_trains_reaches_nothing_outside():
    policies = kinds("NetworkPolicy")
    assert policies["nobody-by-default"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
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


def test_the_engine_is_divided_by_the_most_gateways_that_can_be():
    [scaler] = kinds("HorizontalPodAutoscaler").values()
    settings = variables_of(manifests.FOLDER / "base" / "settings.env")
    parts = int(settings["WEB_WORKERS"])
    assert scaler["spec"]["maxReplicas"] + 1 == parts
    assert "--workers=1" in containers()["gateway"]["args"]
    replicas = kinds("Deployment")["web"]["spec"]["replicas"]
    webs_parts = int(given_to(containers()["web"])["WEB_WORKERS"])
    assert webs_parts == replicas * parts
    slots = int(variables_of(manifests.FOLDER / "base" / "engine.env")["ENGINE_MAX_LORAS"]) - 1
    assert webs_parts <= slots, "each process would warn that it uses at least one slot"
    assert kinds("PodDisruptionBudget").keys() == {"web", "gateway"}


def test_the_engines_pod_takes_from_the_image_what_is_in_it():
    [files] = [one for one in pods()["vllm"]["initContainers"] if one["name"] == "engine-files"]
    taken = files["args"][-1].split("cp -r ")[1].split()[:-1]
    image = (ROOT / "Dockerfile").read_text()
    for name in taken:
        assert re.search(rf"^COPY .*engine/{re.escape(name)}( |$)", image, re.MULTILINE), name
    imported = re.findall(r"^import (\w+)$", (ROOT / "engine/serve.py").read_text(), re.MULTILINE)
    ours = {name for name in imported if (ROOT / f"engine/{name}.py").exists()}
    assert {f"{name}.py" for name in ours} < set(taken)


def test_vllm_waits_for_the_model_that_its_launcher_needs(tmp_path):
    [wait] = [one["args"] for one in pods()["vllm"]["initContainers"] if one["name"] == "model-fetched"]
    environment = {"PATH": os.environ["PATH"], "BASE_MODEL_DIR": str(tmp_path)}
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(wait, env=environment, timeout=0.3)
    (tmp_path / "config.json").touch()
    assert subprocess.run(wait, env=environment, timeout=10).returncode == 0
    assert '(settings.base_model_dir / "config.json").is_file()' in (ROOT / "engine/serve.py").read_text()


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
