"""Waits until the release serves as it was last written: the RayService has taken its manifest up, no cluster is about
to replace the active one, and it is Ready. Else a hook or a test after an upgrade would speak to the cluster before."""

import json
import os
import ssl
import sys
import time
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
url, name, namespace = (os.environ[key] for key in ("TORNIO_URL", "RAYSERVICE", "NAMESPACE"))
patience_s = float(os.environ["PATIENCE_S"])


def trouble():
    """Why it is not to be asked yet; empty once it is."""
    request = urllib.request.Request(
        f"https://kubernetes.default.svc/apis/ray.io/v1/namespaces/{namespace}/rayservices/{name}",
        headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"},
    )
    context = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        found = json.load(answer)
    status = found.get("status") or {}
    if status.get("observedGeneration") != found["metadata"]["generation"]:
        return "KubeRay has not taken the manifest up: does its operator run?"
    if pending := (status.get("pendingServiceStatus") or {}).get("rayClusterName"):
        return f"the cluster {pending} is to replace the active one and is not ready"
    conditions = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    if conditions.get("Ready") != "True":
        return f"the RayService says {conditions}"
    with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:
        return "" if json.load(answer)["ready"] else "/readyz says that it is not ready"


begun = time.monotonic()
while True:
    try:
        why = trouble()
    except (OSError, KeyError) as error:
        why = f"{type(error).__name__}: {error}"
    if not why:
        break
    if time.monotonic() - begun > patience_s:
        sys.exit(f"not ready after {patience_s:g} s: {why}")
    time.sleep(3)
print(f"ready after {time.monotonic() - begun:.0f} s")
