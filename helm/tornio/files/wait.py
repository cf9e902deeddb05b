"""Wait until the release serves as it was last written.

This means that the RayService has processed its manifest, that no cluster is about to replace the active one, and that
it is Ready. Otherwise a hook or a test after an upgrade would use the previous cluster.
"""

import json
import os
import urllib.request

import kube

url = os.environ["TORNIO_URL"]


def obstacle():
    """Return why the release cannot be used yet; an empty text once it can."""
    service = kube.ask(f"rayservices/{kube.RAYSERVICE}")
    if kube.unprocessed(service):
        return "KubeRay has not processed the manifest. Check that its operator runs"
    if pending := kube.pending_cluster(service):
        return f"the cluster {pending} will replace the active one, but is not ready"
    conditions = {one["type"]: one["status"] for one in service["status"].get("conditions") or ()}
    if conditions.get("Ready") != "True":
        return f"the RayService has the conditions {conditions}"
    with urllib.request.urlopen(f"{url}/readyz", timeout=10) as response:
        return "" if json.load(response)["ready"] else "/readyz reports that it is not ready"


print(f"ready after {kube.overcome(obstacle, 'The release was not ready'):.0f} s")
