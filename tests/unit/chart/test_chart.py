"""What the chart renders, by `helm template`: skipped where there is no helm."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.running.kuberay import read_template
from services.checking.wants import SecretKey, wants_of
from tests.chart import DEV, ROOT, SMALL, SWITCHES, TASK, VALUES, helm, one, pods, rendered, switched
from tornio.settings import LlmSettings

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(shutil.which("helm") is None, reason="helm is not installed: charts are not rendered"),
]
EVERYTHING = {
    "gpuServe": {"maxPods": 2},
    "gpuTrain": {"maxPods": 1},
    "ingress": {"enabled": True, "tlsSecret": "cert"},
    "podMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "dashboards": {"enabled": True},
    "networkPolicy": {"monitoringNamespace": {"name": "monitoring"}},
    "tasks": {"reviews": TASK},
    "jobs": {"gpus": 1},
    "image": {"digest": "sha256:" + "a" * 64, "pullSecrets": ["registry"]},
}
CASES = {**VALUES, "everything": (*DEV, *switched(EVERYTHING))}


@pytest.fixture(scope="module", params=CASES)
def documents(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return rendered(*CASES[request.param])


def test_every_pod_is_restricted(documents: list[dict[str, Any]]) -> None:
    found = pods(documents)
    assert len(found) >= 5
    for pod in found:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert all(
            set(volume) - {"name"} <= {"emptyDir", "secret", "configMap", "projected"} for volume in pod["volumes"]
        )
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip
            assert container["resources"]["limits"]["memory"]
            assert "latest" not in container["image"]


def test_no_secret_stands_in_a_manifest(documents: list[dict[str, Any]]) -> None:
    assert not [one for one in documents if one["kind"] == "Secret"]
    for pod in pods(documents):
        for container in pod["containers"]:
            for variable in container.get("env", []):
                if re.search(r"SECRET_|ACCESS_KEY|PASSWORD|API_KEY$", variable["name"]):
                    assert "value" not in variable, variable["name"]


def test_what_ends_a_pod_fits_together(documents: list[dict[str, Any]]) -> None:
    service = one(documents, "RayService")["spec"]
    config = yaml.safe_load(service["serveConfigV2"])
    assert config["http_options"]["keep_alive_timeout_s"] < service["rayClusterDeletionDelaySeconds"]
    for pod in pods(service["rayClusterConfig"]["workerGroupSpecs"]):
        (container,) = pod["containers"]
        variables = {variable["name"]: variable.get("value") for variable in container["env"]}
        touch, work, wait = container["lifecycle"]["preStop"]["exec"]["command"][2].split("; ")
        assert touch == f"touch {variables['TORNIO_LEAVING_FILE']}"
        drain, sleep = work.split(" & ")
        stop = int(sleep.removeprefix("sleep "))
        ends = stop + int(variables["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"])
        *module, seconds, patience = drain.split()
        assert (module, int(seconds)) == (["python", "-m", "services.leaving"], ends)
        assert 0 < int(patience) < stop  # however long the head does not answer, the hook ends in time
        assert wait == "wait $!"  # its failure is an event of the pod
        assert stop >= 60
        assert config["http_options"]["keep_alive_timeout_s"] < stop
        assert ends < pod["terminationGracePeriodSeconds"]
        assert variables["RAYSERVICE"] == "t"


@pytest.mark.parametrize(
    ("values", "per_pod"),
    [
        ({}, {"classifier": 1}),
        ({"classifier": {"minReplicas": 3, "perPod": 2}, "serve": {"maxPods": 2}}, {"classifier": 2}),
        ({"classifier": {"minReplicas": 5}}, {"classifier": 1}),  # a changed cap would restart them
    ],
)
def test_replicas_do_not_gather_on_one_pod(values: dict[str, Any], per_pod: dict[str, int]) -> None:
    config = yaml.safe_load(one(rendered(*switched(values)), "RayService")["spec"]["serveConfigV2"])
    found = {each["name"]: each.get("max_replicas_per_node") for each in config["applications"][0]["deployments"]}
    assert per_pod.items() <= found.items()


@pytest.mark.parametrize(
    ("values", "component"),
    [({}, "serve"), ({"classifier": {"gpus": 1}, "gpuServe": {"maxPods": 2}}, "gpu-serve")],
)
def test_the_budget_guards_the_pods_that_have_the_replicas(values: dict[str, Any], component: str) -> None:
    budget = one(rendered(*switched(values)), "PodDisruptionBudget")["spec"]
    assert budget["selector"]["matchLabels"]["app.kubernetes.io/component"] == component


def test_workers_are_asked_without_wget(documents: list[dict[str, Any]]) -> None:
    for group in one(documents, "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        assert container["readinessProbe"]["httpGet"] == {"path": "/-/healthz", "port": 8000}


def test_the_controller_may_make_rayjobs_and_nothing_else(documents: list[dict[str, Any]], tmp_path: Path) -> None:
    rules = one(documents, "Role")["rules"]
    assert [(rule["resources"], sorted(rule["verbs"])) for rule in rules] == [
        (["rayservices"], ["get"]), (["rayjobs"], ["create", "delete", "get", "list"]),
    ]  # fmt: skip
    template = tmp_path / "rayjob.json"
    template.write_text(one(documents, "ConfigMap", "t-jobs")["data"]["rayjob.json"])
    spec = read_template(template)["spec"]
    assert spec["submissionMode"] == "HTTPMode"
    assert spec["preRunningDeadlineSeconds"] < spec["activeDeadlineSeconds"]
    assert not any(pod["automountServiceAccountToken"] for pod in pods(spec))


def test_the_head_holds_no_secret_and_nothing_of_the_release(documents: list[dict[str, Any]]) -> None:
    """KubeRay gives the head's account the autoscaler's rights, and makes one where none is named; after the release
    is gone, it starts the head's pod once more, to clear Redis."""
    cluster = one(documents, "RayService")["spec"]["rayClusterConfig"]
    head = cluster["headGroupSpec"]["template"]["spec"]
    assert "serviceAccountName" not in head
    assert [volume["name"] for volume in head["volumes"]] == ["tmp"]
    assert not [one["name"] for one in head["containers"][0]["env"] if "valueFrom" in one]
    assert {group["template"]["spec"]["serviceAccountName"] for group in cluster["workerGroupSpecs"]} == {"t"}


def test_what_values_say_of_the_environment_wins() -> None:
    values = {"env": {"HF_HUB_OFFLINE": "0", "TORNIO_TEACHER_KIND": "nli", "MORE": "x"}}
    for pod in pods(one(rendered(*switched(values)), "RayService")):
        names = [each["name"] for each in pod["containers"][0]["env"]]
        assert len(names) == len(set(names))
        env = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
        assert values["env"].items() <= env.items()


def test_only_the_workers_of_a_rayjob_go_where_its_gpus_are_and_compute() -> None:
    jobs = {"gpus": 1, "nodeSelector": {"pool": "gpu"}}
    documents = rendered(*switched({"jobs": jobs, "head": {"nodeSelector": {"pool": "small"}}}))
    cluster = yaml.safe_load(one(documents, "ConfigMap", "t-jobs")["data"]["rayjob.json"])["spec"]["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["template"]["spec"]["nodeSelector"] == {"pool": "gpu"}
    assert [each["key"] for each in workers["template"]["spec"]["tolerations"]] == ["nvidia.com/gpu"]
    assert cluster["headGroupSpec"]["template"]["spec"]["nodeSelector"] == {"pool": "small"}
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_what_is_empty_may_be_left_empty() -> None:
    """`env:` with nothing after it, and so on."""
    names = ("env", "tasks", "serve.nodeSelector", "head.tolerations", "gpuServe.tolerations", "networkPolicy.from",
             "networkPolicy.egress", "llm.endpoints")  # fmt: skip
    nothing = rendered(*(f"--set={name}=null" for name in names))
    assert one(nothing, "RayService") == one(rendered(), "RayService")


@pytest.mark.parametrize(
    ("request_", "limit", "fits"),
    [
        ("1500Mi", "1.5Gi", True),
        ("1100m", "1.1", True),
        ("0.1", "100m", True),
        ("2048Gi", "2Ti", True),
        ("1001m", "1", False),
        ("1", "1024Ki", True),
        ("2G", "1Gi", False),
        ("8000000000", "8G", True),
    ],
)
def test_quantities_are_compared_as_kubernetes_reads_them(request_: str, limit: str, fits: bool) -> None:
    done = helm(
        f"--set-string=head.resources.requests.memory={request_}", f"--set-string=head.resources.limits.memory={limit}"
    )
    assert (done.returncode == 0) is fits, done.stderr


def test_deploy_check_finds_where_the_chart_has_its_secrets_from() -> None:
    wants = wants_of(rendered(*DEV))
    assert wants.secrets["tornio-dev"] == {"access-key-id", "secret-access-key", "api-key", "keys.json"}
    assert wants.environment["TORNIO_ARGILLA_API_KEY_FILE"] == SecretKey("tornio-dev", "api-key")


def test_the_ray_of_manifests_and_image_is_one() -> None:
    pinned = re.search(r"^ray==(.+)$", (ROOT / "constraints" / "cluster.txt").read_text(), re.M)
    assert pinned
    assert one(rendered(), "RayService")["spec"]["rayClusterConfig"]["rayVersion"] == pinned[1]


def test_tasks_are_applied_and_never_stand_in_serve_s_configuration() -> None:
    documents = rendered(*CASES["everything"])
    written = yaml.safe_load(one(documents, "ConfigMap", "t-tasks")["data"]["reviews.yaml"])
    assert written == {name: value for name, value in TASK.items() if name != "pool"}
    (container,) = pods(one(documents, "Job", "t-apply"))[0]["containers"]
    assert "pool add acme/reviews 's3://data/reviews.csv'" in container["args"][0]
    assert "reviews" not in one(documents, "RayService")["spec"]["serveConfigV2"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("classifier.minReplica=3", "minReplica"),
        ("serve.minPods=0", "minPods"),
        ("ray.upgradeStrategy=Rolling", "upgradeStrategy"),
        ("image.digest=sha256:abc", "digest"),
        ("termination.preStopSeconds=10", "preStopSeconds must be more"),
        ("ray.oldClusterSeconds=30,termination.keepAliveSeconds=30,termination.preStopSeconds=31", "oldClusterSeconds"),
        ("serve.minPods=3,serve.maxPods=2", "serve.minPods is more"),
        ("store.endpoint=foo", "store/endpoint"),
        ("argilla.url=argilla:6900", "argilla/url"),
        ("env.A-B=x", "A-B"),
        ("serve.resources.limits.memory=lots", "memory"),
        ("classifier.gpus=1", "classifier.gpus requests GPUs"),
        ("classifier.minReplicas=7", "classifier.minReplicas does not fit"),
        ("termination.graceSeconds=20", "termination.graceSeconds must be"),
        ("teacher.gpus=1", "gpuServe.maxPods"),
        ("argilla.url=http://a", "argilla.existingSecret"),
        ("argilla.webhookSecretKey=webhook-secret", "argilla.url is empty"),
        ("tasks.a.name=x,tasks.a.workspace=w", "apply.existingSecret"),
        ("tasks.a.name=x", "workspace"),
        ("tasks.a.workspace=w,tasks.a.name=$(id)", "tasks/a/name"),
        ("tasks.a.workspace=w,tasks.a.name=x,tasks.a.pool=/etc/passwd", "tasks/a/pool"),
        ("tasks.a.workspace=w,tasks.a.name=x,tasks.a.poool=s3://b/k", "poool"),
        ("env.HF_TOKEN=x", "HF_TOKEN"),
        ("store.endpoint=http://key:secret@s3", "store/endpoint"),
        ("gateway.replicas=2", "gateway"),
        ("serve.nodeSelector.gpu=true", "nodeSelector/gpu"),
        ("serve.resources.requests.cpu=-1", "requests/cpu"),
        ("fullnameOverride=1234x", "fullnameOverride"),
        ("serviceAccount.create=false", "serviceAccount.name"),
        ("serve.resources.requests.memory=7Gi", "serve.resources.requests.memory is more than its limit"),
        ("jobs.headResources.limits.cpu=400m", "jobs.headResources.requests.cpu is more than its limit"),
        ("classifier.cpus=3", "classifier.cpus is more"),
        ("teacher.cpus=3", "teacher.cpus is more"),
        ("teacher.gpus=2,gpuServe.maxPods=1", "teacher.gpus is more"),
        ("podDisruptionBudget.minAvailable=3", "podDisruptionBudget.minAvailable"),
        ("store.accessKeyIdKey=", "store/accessKeyIdKey"),
        ("env.RAYSERVICE=x", "RAYSERVICE"),
        ("networkPolicy.from[0].x=1", "podSelector"),
        ("llm.endpoints.gpt.settings.url=https://x", "settings"),
        ("llm.endpoints.gpt.settings.api_key_file=/etc/passwd", "api_key_file"),
        ("store.prefix=a b/../c", "store/prefix"),
        ("store.prefix=a/../c", "store/prefix"),
        ("store.prefix=a b", "store/prefix"),
        ("teacher.minReplicas=2", "teacher.minReplicas is more"),
        ("volumes[0].name=tmp", "volumes/0/name"),
        ("volumeMounts[0].name=ca", "mountPath"),
        ("serve=null", "'serve'"),
        ("serve.cpus=null", "'cpus'"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(value: str, said: str) -> None:
    done = helm("--set", value)
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize("prefix", ["", "a", "/a/b/", "team.a/..b/.c", "x=1/y"])
def test_a_prefix_that_is_one_place_is_taken(prefix: str) -> None:
    done = helm(f"--set-string=store.prefix={prefix}")
    assert done.returncode == 0, done.stderr


def test_an_upgrade_changes_the_numbers_of_pods_of_the_running_cluster(documents: list[dict[str, Any]]) -> None:
    """Nobody but its Job may change RayClusters, and the Job only during an upgrade."""
    made = [one(documents, kind, "t-scale") for kind in ("ServiceAccount", "Role", "RoleBinding", "Job")]
    hooks = [each["metadata"]["annotations"] for each in made]
    assert {each["helm.sh/hook"] for each in hooks} == {"post-upgrade,post-rollback"}
    assert {each["helm.sh/hook-delete-policy"] for each in hooks} == {"before-hook-creation,hook-succeeded"}
    assert [int(each["helm.sh/hook-weight"]) for each in hooks] == [-4, -4, -3, -2]
    job = made[-1]
    (pod,) = pods(job)
    assert pod["serviceAccountName"] == "t-scale"
    rules = one(documents, "Role", "t-scale")["rules"]
    assert [(rule["resources"], rule["verbs"]) for rule in rules] == [
        (["rayservices"], ["get"]), (["rayclusters"], ["get", "patch"]),
    ]  # fmt: skip
    assert "rayclusters" not in str(one(documents, "Role"))
    others = [other for each in documents if each["metadata"]["name"] != "t-scale" for other in pods(each)]
    assert "t-scale" not in {other.get("serviceAccountName") for other in others}
    assert {"kube.py", "scale.py", "wait.py"} <= set(one(documents, "ConfigMap", "t-scripts")["data"])


def test_who_may_not_change_clusters_leaves_all_of_it_out() -> None:
    documents = rendered(*switched({"scale": {"enabled": False}}))
    assert "t-scale" not in {each["metadata"]["name"] for each in documents}
    assert "rayclusters" not in str([each for each in documents if each["kind"] == "Role"])


def test_a_task_that_fails_does_not_keep_the_others_from_being_applied(tmp_path: Path) -> None:
    tasks = {name: {"name": name, "workspace": "acme", "pool": f"s3://data/{name}.csv"} for name in ("a", "b", "c")}
    documents = rendered(*switched({"tasks": tasks, "apply": {"existingSecret": "key"}}))
    (container,) = pods(one(documents, "Job", "t-apply"))[0]["containers"]
    for name, does in {
        "tornio": 'echo "$*" >> said; case "$*" in *b.yaml|*acme/c*) exit 4;; esac',
        "python": "",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    ran = subprocess.run(
        [*container["command"], *container["args"]],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "These tasks failed, for the reasons above: b c." in ran.stderr
    asked = [line.split()[-1].rpartition("/")[2] for line in (tmp_path / "said").read_text().splitlines()]
    assert asked == ["a.yaml", "a.csv", "b.yaml", "c.yaml", "c.csv"]


def test_people_may_reach_argilla_at_another_address() -> None:
    argilla = {"url": "http://argilla.ns.svc", "publicUrl": "https://argilla.example.com", "existingSecret": "argilla"}
    service = one(rendered(*switched({"argilla": argilla})), "RayService")
    workers = service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["template"]["spec"]
    env = {each["name"]: each.get("value") for each in workers["containers"][0]["env"]}
    assert env["TORNIO_ARGILLA_URL"] == "http://argilla.ns.svc"
    assert env["TORNIO_ARGILLA_PUBLIC_URL"] == "https://argilla.example.com"


def test_argillas_webhook_has_its_secret_and_reaches_the_service() -> None:
    peers = [{"podSelector": {"matchLabels": {"app": "argilla-worker"}}}]
    argilla = {"url": "http://argilla.ns.svc", "existingSecret": "argilla"}

    def environment(**also: str) -> dict[str, str]:
        objects = rendered(*switched({"argilla": argilla | also, "networkPolicy": {"from": peers}}))
        assert one(objects, "NetworkPolicy")["spec"]["ingress"][0] == {"ports": [{"port": 8000}], "from": peers}
        group = one(objects, "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
        return {each["name"]: each.get("value") for each in group["template"]["spec"]["containers"][0]["env"]}

    variable = "TORNIO_ARGILLA_WEBHOOK_SECRET_FILE"
    assert environment(webhookSecretKey="webhook-secret")[variable] == "/etc/tornio/argilla/webhook-secret"
    assert variable not in environment()


def test_pods_of_a_finished_run_do_not_stay_for_long() -> None:
    for values, seconds in (((), 60), (SMALL, 10)):
        template = one(rendered(*values), "ConfigMap", "t-jobs")["data"]["rayjob.json"]
        assert yaml.safe_load(template)["spec"]["ttlSecondsAfterFinished"] == seconds


def test_the_teacher_may_leave_its_gpu() -> None:
    values = {"teacher": {"minReplicas": 0, "replicas": 2, "gpus": 1}, "gpuServe": {"maxPods": 2}}
    service = one(rendered(*switched(values)), "RayService")["spec"]
    deployments = yaml.safe_load(service["serveConfigV2"])["applications"][0]["deployments"]
    (teacher,) = (each for each in deployments if each["name"] == "teacher")
    assert "num_replicas" not in teacher
    scaling = teacher["autoscaling_config"]
    assert (scaling["min_replicas"], scaling["max_replicas"]) == (0, 2)
    groups = {group["groupName"]: group["minReplicas"] for group in service["rayClusterConfig"]["workerGroupSpecs"]}
    assert groups["gpu-serve"] == 0


@pytest.mark.parametrize("jobs", [True, False])
def test_pods_that_compute_may_ask_the_endpoints_and_have_their_keys_as_files(jobs: bool) -> None:
    documents = rendered(*switched({**SWITCHES["llm"], "jobs": {"enabled": jobs}}))
    asking = [pod for pod in pods(documents) if _endpoints(pod)]
    names = {container["name"] for pod in asking for container in pod["containers"]}
    assert names == {
        "ray-worker",
        "ray-head",
    }  # of a RayJob; without RayJobs, drivers run in the serving cluster's head
    for pod in asking:
        endpoints = LlmSettings(endpoints=_endpoints(pod)).endpoints
        assert endpoints["gpt"].api_key_file == Path("/etc/tornio/llm/gpt")
        assert (endpoints["gpt"].max_tokens, endpoints["own"].api_key_file) == (20_000_000, None)
        (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "llm"]
        secret = {"name": "provider", "items": [{"key": "api-key", "path": "gpt"}]}
        assert volume["projected"]["sources"] == [{"secret": secret}]
        (container,) = pod["containers"]
        assert {"name": "llm", "mountPath": "/etc/tornio/llm", "readOnly": True} in container["volumeMounts"]
    assert wants_of(documents).secrets["provider"] == {"api-key"}
    assert not [pod for pod in pods(rendered()) if _endpoints(pod)]


def test_an_endpoint_may_have_a_number_as_its_name() -> None:
    endpoint = {**SWITCHES["llm"]["llm"]["endpoints"]["gpt"]}
    found = pods(rendered(*switched({"llm": {"endpoints": {"4": endpoint}}})))
    sources = [volume["projected"]["sources"] for pod in found for volume in pod["volumes"] if volume["name"] == "llm"]
    assert {source["secret"]["items"][0]["path"] for (source,) in sources} == {"4"}


def _endpoints(pod: dict[str, Any]) -> dict[str, Any]:
    variables = {one["name"]: one.get("value") for one in pod["containers"][0].get("env", ())}
    return dict(json.loads(variables.get("TORNIO_LLM_ENDPOINTS") or "{}"))


def test_where_pods_may_connect_to_is_a_value_and_endpoints_add_to_it() -> None:
    policy = one(rendered(*switched(SWITCHES["llm"])), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    blocks = [to["ipBlock"]["cidr"] for rule in policy["egress"] for to in rule.get("to", ()) if "ipBlock" in to]
    assert blocks == ["10.0.0.0/8", "203.0.113.0/24"]
    assert one(rendered(), "NetworkPolicy")["spec"]["policyTypes"] == ["Ingress"]
    without = helm(*switched(SWITCHES["llm"]), "--set-json=llm.endpoints.own.egress=[]")
    assert "llm.endpoints.own.egress is empty" in without.stderr
