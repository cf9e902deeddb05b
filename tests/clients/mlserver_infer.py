"""MLServer's batch client, ``mlserver infer``, and its codec of strings."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, RequestOutput

address, secret = sys.argv[1:]
requests = [
    InferenceRequest(
        id=f"r{number}",
        inputs=[StringCodec.encode_input("text", [f"text {number}", "Grüße"], use_bytes=False)],
        outputs=[RequestOutput(name="label"), RequestOutput(name="score")],
    )
    for number in range(5)
]
with tempfile.TemporaryDirectory() as folder:
    given, answers = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
    given.write_text("".join(one.model_dump_json(exclude_none=True) + "\n" for one in requests))
    options = {"-u": address, "-m": "acme.support", "-i": given, "-o": answers, "-s": 2, "-w": 2}
    for binary in ([], ["-b"]):
        command = [str(Path(sys.executable).with_name("mlserver")), "infer", *binary]
        command += [str(one) for option in options.items() for one in option]
        subprocess.run([*command, "-H", f"Authorization:Bearer {secret}"], check=True)
        lines = [json.loads(line) for line in answers.read_text().splitlines()]
        assert sorted(line["parameters"]["batch_index"] for line in lines) == [0, 1, 2, 3, 4], lines
        for line in lines:
            assert line["outputs"][0]["data"] == ["a", "a"], line
            assert line["outputs"][1]["data"] == [0.75, 0.75], line
