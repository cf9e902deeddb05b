"""The one Serve application: gateway in front, classifier, teacher and controller behind it."""

from __future__ import annotations

from typing import Any, cast

from ray.serve import Application, Deployment

from services.classifier.deployment import Classifier
from services.controller.deployment import Controller
from services.gateway.deployment import Gateway
from services.teacher.deployment import Teacher


def build(args: dict[str, Any] | None = None) -> Application:
    """The application; takes no arguments, since nothing about tasks or versions may stand in Serve's args."""
    if args:
        raise ValueError(f"the application takes no arguments, found {sorted(args)}: configure it by environment")
    # Serve's decorator makes deployments of the classes, which its types do not tell.
    gateway, classifier, teacher, controller = (
        cast(Deployment, kind) for kind in (Gateway, Classifier, Teacher, Controller)
    )
    follows = controller.bind()
    return gateway.bind(follows, classifier.bind(follows), teacher.bind())


app = build()
