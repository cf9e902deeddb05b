"""A head on the mean of the tokens, or on the first one, inside the weights of a transformers classifier.

The classes of transformers classify the state of the first token, after a dense layer and a function f (tanh, ReLU or
GELU). Our heads are linear, and most pool the mean. Both are written as weights of these classes, exactly but for
rounding:

- **Nothing between state and logit.** With f(z) - f(-z) = z / gain for small z, the dense layer computes z and -z of
  each label, with z small, and the last layer takes their difference.
- **The mean.** One more layer is appended. Its queries and keys are 0, so each token attends to all tokens alike; its
  values are the logits of each token, so the attention gives the mean of them, which is the logit of the mean. The
  padding is masked as in every layer. What is left is the norm at the end of each half of a layer, and the state that
  is added before it. Two further numbers of the state, +C and -C, are so large that they alone decide the norm's scale,
  sqrt(2 / width) C. The logits are multiplied by K, so that the added state does not count. A number to which nothing
  but the added state contributes is subtracted from each logit, because all of them have the same small error from the
  norm's mean. The second half of the layer adds 0.

With C = 2^44 and K = 2^24, float32 has room for both: a logit is off by the added state / K (1e-6) and its own
rounding, and the scale by the square of K times a logit / C (1e-10).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tornio.exchange.families import Family
from tornio.models.head import LinearHead

C, K = 2.0**44, 2.0**24
SMALL = 2.0**-16
"""What logits are multiplied by before f. tanh(z) is z within 1e-7 of it for z up to 5e-4: logits up to 30."""
_PLUS, _MINUS, _ZERO, _FIRST = 0, 1, 2, 3
"""The numbers of the state: +C, -C, the one that is subtracted, and the first logit."""

Weights = Mapping[str, NDArray[np.float32]]


def most_labels(width: int) -> int:
    """Return how many labels a model whose states have this many numbers can hold: z and -z of each."""
    return min(width // 2, width - _FIRST)


def rows(values: NDArray[np.float32], labels: int) -> NDArray[np.float32]:
    """Return the head's weight, float32 [labels, width], out of the values of the layer that ``mean_layer`` made."""
    return values[_FIRST : _FIRST + labels]


def classify(family: Family, head: LinearHead, scale: float = 1.0, first: int | None = None) -> Weights:
    """Return the weights after the first token's state, by name: dense [width, width], then [labels, width].

    ``first``: the state has the logits from this number on, multiplied by ``scale``, without the bias; None: it is the
    pooled vector.
    """
    labels, width = head.weight.shape
    read = np.zeros((labels, width), dtype=np.float64)
    if first is None:
        scale = SMALL
        read += SMALL * head.weight
    else:
        read[np.arange(labels), first + np.arange(labels)] = 1.0
        read[:, _ZERO] = -1.0
    dense = np.zeros((width, width), dtype=np.float32)
    dense[:labels], dense[labels : 2 * labels] = read, -read
    last = np.zeros((labels, width), dtype=np.float32)
    rows = np.arange(labels)
    last[rows, rows], last[rows, labels + rows] = family.gain / scale, -family.gain / scale
    return {
        f"{family.pooler}.weight": dense,
        f"{family.pooler}.bias": np.zeros(width, np.float32),
        f"{family.head}.weight": last,
        f"{family.head}.bias": head.bias,
    }


def mean_layer(family: Family, head: LinearHead, inner: int, number: int) -> tuple[Weights, float, int]:
    """Return the weights of a layer of this number that gives the logits of the mean, without the bias; the factor by
    which it multiplies them; and the number of the state at which they begin. ``inner``: the size of its middle."""
    labels, width = head.weight.shape
    slots = _FIRST + np.arange(labels)
    values, out = np.zeros((width, width), np.float32), np.zeros((width, width), np.float32)
    values[slots], out[slots, slots] = head.weight, K
    large, zero, one = np.zeros(width, np.float32), np.zeros(width, np.float32), np.ones(width, np.float32)
    large[_PLUS], large[_MINUS] = C, -C
    nothing = np.zeros((width, width), np.float32)
    parts = {
        family.query: (nothing, zero),
        family.key: (nothing, zero),
        family.value: (values, zero),
        family.out: (out, large),
        family.attention_norm: (one, zero),
        family.up: (np.zeros((inner, width), np.float32), np.zeros(inner, np.float32)),
        family.down: (np.zeros((width, inner), np.float32), zero),
        family.norm: (one, zero),
    }
    place = f"{family.prefix}.{family.layers}{number}."
    weights = {f"{place}{part}.weight": weight for part, (weight, _) in parts.items()}
    weights |= {f"{place}{part}.bias": bias for part, (_, bias) in parts.items()}
    return weights, K / C * float(np.sqrt(width / 2)), _FIRST
