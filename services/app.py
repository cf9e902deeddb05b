"""The one Serve application: the classifier, which answers HTTP, and behind it teacher and controller."""

from __future__ import annotations

from typing import Any, cast

from ray.serve import Application, Deployment

from services.classifier.deployment import Classifier
from services.controller.deployment import Controller
from services.teacher.deployment import Teacher


def build(args: dict[str, Any] | None = None) -> Application:
    """Return the application. It takes no arguments: tasks and versions must not be part of Serve's configuration."""
    if args:
        raise ValueError(f"The application takes no arguments, but got {sorted(args)}. Configure it by environment.")
    # Serve's decorator turns the classes into deployments, which its types do not show.
    classifier, teacher, controller = (cast(Deployment, kind) for kind in (Classifier, Teacher, Controller))
    return classifier.bind(controller.bind(), teacher.bind())


app = build()
