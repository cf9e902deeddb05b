"""Learning: what turns labels into models."""
