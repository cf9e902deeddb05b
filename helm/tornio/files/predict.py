"""helm test: waits until the RayService is Ready, reads /readyz, and asks for a zero-shot answer."""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PATIENCE_S = 900
url, name, namespace = (os.environ[key] for key in ("TORNIO_URL", "RAYSERVICE", "NAMESPACE"))


def conditions():
    """What the RayService says of itself: type -> status."""
    request = urllib.request.Request(
        f"https://kubernetes.default.svc/apis/ray.io/v1/namespaces/{namespace}/rayservices/{name}",
        headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"},
    )
    context = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        found = json.load(answer)["status"].get("conditions", [])
    return {one["type"]: one["status"] for one in found}


def call(path, body=None):
    headers = {"Content-Type": "application/json"}
    if key_file := os.environ.get("TORNIO_API_KEY_FILE"):
        headers["Authorization"] = f"Bearer {Path(key_file).read_text().strip()}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url + path, data, headers), timeout=60) as answer:
        return json.load(answer)


begun = time.monotonic()
while True:
    try:
        found = conditions()
        if found.get("Ready") == "True" and call("/readyz")["ready"]:
            break
        trouble = f"the RayService says {found}"
    except (OSError, KeyError) as error:
        trouble = f"{type(error).__name__}: {error}"
    if time.monotonic() - begun > PATIENCE_S:
        sys.exit(f"not ready after {PATIENCE_S} s: {trouble}")
    time.sleep(3)
print(f"ready after {time.monotonic() - begun:.0f} s")
try:
    said = call("/v1/zero-shot", {"texts": ["The parcel has not arrived"], "labels": ["delivery", "refund"]})
except urllib.error.HTTPError as error:
    if error.code == 401 and "TORNIO_API_KEY_FILE" not in os.environ:
        print("zero-shot: not asked, for no API key was named in apply.existingSecret")
        sys.exit(0)
    sys.exit(f"zero-shot: {error.code} {error.read().decode()[:500]}")
print("zero-shot:", json.dumps(said)[:300])
