"""Customer support: the example that ``make demo`` runs."""
