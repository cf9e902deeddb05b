"""Consistency training: a model should give a text and a changed view of it the same label."""
