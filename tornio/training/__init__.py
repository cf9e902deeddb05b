"""Learning: from labels to models."""
