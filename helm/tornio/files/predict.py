"""For `helm test`, after wait.py: send a zero-shot request."""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

headers = {"Content-Type": "application/json"}
if key_file := os.environ.get("TORNIO_API_KEY_FILE"):
    headers["Authorization"] = f"Bearer {Path(key_file).read_text().strip()}"
body = json.dumps({"texts": ["The parcel has not arrived"], "labels": ["delivery", "refund"]}).encode()
request = urllib.request.Request(os.environ["TORNIO_URL"] + "/v1/zero-shot", body, headers)
try:
    with urllib.request.urlopen(request, timeout=60) as response:
        print("zero-shot:", json.dumps(json.load(response))[:300])
except urllib.error.HTTPError as error:
    if error.code != 401 or key_file:
        sys.exit(f"zero-shot: {error.code} {error.read().decode()[:500]}")
    print("zero-shot: not tested, because apply.existingSecret names no API key")
