"""The API of Kubernetes, as the account of this pod may use it; with the standard library alone."""

import json
import os
import ssl
import sys
import time
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
RAYSERVICE, NAMESPACE = os.environ["RAYSERVICE"], os.environ["NAMESPACE"]


def ask(path, body=None, method="GET", content_type="application/json"):
    """Send a request about an object of KubeRay in this release's namespace: rayservices/NAME. Return the object."""
    request = urllib.request.Request(
        f"https://kubernetes.default.svc/apis/ray.io/v1/namespaces/{NAMESPACE}/{path}",
        body,
        {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}", "Content-Type": content_type},
        method=method,
    )
    context = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
    with urllib.request.urlopen(request, timeout=10, context=context) as response:
        return json.load(response)


def patch(path, operations):
    """Change such an object by a JSON patch (RFC 6902)."""
    return ask(path, json.dumps(operations).encode(), "PATCH", "application/json-patch+json")


def unprocessed(service):
    """Return whether KubeRay has not yet looked at the RayService as it was last written."""
    return (service.get("status") or {}).get("observedGeneration") != service["metadata"]["generation"]


def pending_cluster(service):
    """Return the name of the cluster that will replace the active one. Empty if none will."""
    return ((service.get("status") or {}).get("pendingServiceStatus") or {}).get("rayClusterName") or ""


def overcome(obstacle, failed):
    """Ask every few seconds what stands in the way, until nothing does. Return after how many seconds that was.

    ``obstacle``: returns a text, which is empty once nothing stands in the way. What it raises counts as an obstacle,
    because a cluster may end at any moment. After PATIENCE_S seconds the process ends with ``failed`` and that text.
    """
    patience_s, begun = float(os.environ["PATIENCE_S"]), time.monotonic()
    while True:
        try:
            why = obstacle()
        except (OSError, KeyError) as error:
            why = f"{type(error).__name__}: {error}"
        passed = time.monotonic() - begun
        if not why:
            return passed
        if passed > patience_s:
            sys.exit(f"{failed} within {patience_s:g} s: {why}")
        time.sleep(3)
