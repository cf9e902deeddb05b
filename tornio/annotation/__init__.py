"""The interface to the annotation tool, and Argilla as its implementation."""
