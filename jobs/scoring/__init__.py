"""Loss scoring in parts: cut the input, embed it, score it. ``jobs.score`` puts these together."""

from jobs.parts import MakeWork
from jobs.scoring.work import EmbedPart, ScorePart

EMBED, SCORE = "embed", "score"
STAGES: dict[str, MakeWork] = {EMBED: EmbedPart, SCORE: ScorePart}
"""What a worker can do with a part, by name: the name travels, not the code."""
