"""The annotation tool as a port; Argilla behind it."""
