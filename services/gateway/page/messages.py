"""What the page says after something was done. An address names a message, so that nobody can write one into it."""

from __future__ import annotations

MESSAGES = {
    "logged-out": "You are logged out.",
    "paused": "The task is paused. Runs that are under way end, and predictions go on.",
    "resumed": "The task goes on.",
    "training": "The task trains with the present labels as soon as the run that is under way has ended.",
    "promoted": "The version serves as soon as replicas have loaded it. Nothing newer follows until you resume it.",
    "rolled-back": "The version that served before serves again. Nothing is promoted until you resume the task.",
}
