"""Tornio turns unlabelled text and a few annotators into a served text classifier that keeps getting better.

``import tornio`` is light: it pulls in neither torch nor ray.
"""

__version__ = "0.1.0"
