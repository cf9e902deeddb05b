"""The forward pass without padding, for the architectures that it knows; see ``forward``."""
