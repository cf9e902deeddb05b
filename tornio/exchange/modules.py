"""The files by which sentence-transformers knows how a folder's encoder is pooled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tornio.schemas.registry import Pooling


def write_modules(
    folder: Path, width: int, pooling: Pooling, normalise: bool, max_length: int, then: Sequence[str] = ()
) -> list[Path]:
    """Write the modules Transformer, Pooling and perhaps Normalize, and list those that come ``then``.

    ``width``: of the encoder's states. ``max_length``: tokens. Returns the folders of all modules but the encoder's,
    in order. They exist; the files of those that come then are up to the caller.
    """
    steps = ["Transformer", "Pooling", *(["Normalize"] if normalise else []), *then]
    paths = ["" if number == 0 else f"{number}_{step}" for number, step in enumerate(steps)]
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{step}"}
        for number, (step, path) in enumerate(zip(steps, paths, strict=True))
    ]
    folders = [folder / path for path in paths[1:]]
    for one in folders:
        one.mkdir()
    write_json(folder / "modules.json", listed)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    modes = {"pooling_mode_cls_token": pooling == "cls", "pooling_mode_mean_tokens": pooling == "mean"}
    write_json(folders[0] / "config.json", {"word_embedding_dimension": width, **modes})
    return folders


def write_json(path: Path, values: Any) -> None:
    """Write readable JSON."""
    path.write_text(json.dumps(values, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
