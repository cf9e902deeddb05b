"""The forward pass without padding, for the supported architectures; see ``forward``."""
