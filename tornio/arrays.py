"""Names for the arrays that rooms hand to each other. Shapes stand where an array is used."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatMatrix = NDArray[np.float32]
FloatVector = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
BoolMatrix = NDArray[np.bool_]
BoolVector = NDArray[np.bool_]
IntArray = NDArray[np.int64]
