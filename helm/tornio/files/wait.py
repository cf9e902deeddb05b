"""Wait until the release serves as it was last written.

This means that the RayService has processed its manifest, that no cluster is about to replace the active one, and that
it is Ready. Otherwise a hook or a test after an upgrade would use the previous cluster.
"""

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


def obstacle():
    """Return why the release cannot be used yet; an empty text once it can."""
    request = urllib.request.Request(
        f"https://kubernetes.default.svc/apis/ray.io/v1/namespaces/{namespace}/rayservices/{name}",
        headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"},
    )
    context = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
    with urllib.request.urlopen(request, timeout=10, context=context) as response:
        service = json.load(response)
    status = service.get("status") or {}
    if status.get("observedGeneration") != service["metadata"]["generation"]:
        return "KubeRay has not processed the manifest. Check that its operator runs"
    if pending := (status.get("pendingServiceStatus") or {}).get("rayClusterName"):
        return f"the cluster {pending} will replace the active one, but is not ready"
    conditions = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    if conditions.get("Ready") != "True":
        return f"the RayService has the conditions {conditions}"
    with urllib.request.urlopen(f"{url}/readyz", timeout=10) as response:
        return "" if json.load(response)["ready"] else "/readyz reports that it is not ready"


begun = time.monotonic()
while True:
    try:
        why = obstacle()
    except (OSError, KeyError) as error:
        why = f"{type(error).__name__}: {error}"
    if not why:
        break
    if time.monotonic() - begun > patience_s:
        sys.exit(f"not ready after {patience_s:g} s: {why}")
    time.sleep(3)
print(f"ready after {time.monotonic() - begun:.0f} s")
