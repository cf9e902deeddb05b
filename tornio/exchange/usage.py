"""Lines of Python that load an exported folder and give probabilities: part of its card. Pure."""

from __future__ import annotations

from tornio.exchange.source import Source

FOLDER = "FOLDER"
"""What stands for the folder in the lines."""

_PIPELINE = """\
from transformers import pipeline

classify = pipeline("text-classification", "FOLDER", truncation=True, top_k=None)
print(classify(["a text", "another text"]))
"""
_MODULES = """\
import torch
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("FOLDER")
logits = model.encode(["a text", "another text"], convert_to_tensor=True)
probabilities = {function}
print(model[0].auto_model.config.id2label, probabilities)
"""
_SIDE_BY_SIDE = """\
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

tokenizer, encoder = AutoTokenizer.from_pretrained("FOLDER"), AutoModel.from_pretrained("FOLDER").eval()
head = load_file("FOLDER/head.safetensors")
tokens = tokenizer(["a text", "another text"], padding=True, truncation=True, return_tensors="pt")
with torch.inference_mode():
    states = encoder(**tokens, output_hidden_states=True).hidden_states
mask = tokens["attention_mask"][..., None]
parts = [{pooled} for layer in {layers}]
logits = torch.cat(parts, dim=1) @ head["weight"].T + head["bias"]
probabilities = {function}
print(encoder.config.id2label, probabilities)
"""


def pipeline(_source: Source) -> str:
    """A transformers classifier."""
    return _PIPELINE


def modules(source: Source) -> str:
    """A sentence-transformers model whose vectors are logits."""
    return _MODULES.format(function=_function(source))


def side_by_side(source: Source) -> str:
    """An encoder, and a head beside it."""
    pooled = "states[layer][:, 0]" if source.use.pooling == "cls" else "(states[layer] * mask).sum(1) / mask.sum(1)"
    if source.use.normalise:
        pooled = f"torch.nn.functional.normalize({pooled}, dim=1)"
    return _SIDE_BY_SIDE.format(pooled=pooled, layers=list(source.use.pooled), function=_function(source))


def _function(source: Source) -> str:
    return "torch.sigmoid(logits)" if source.manifest.multi_label else "torch.softmax(logits, dim=1)"
