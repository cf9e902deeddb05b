"""Customer support: the example behind ``make demo``."""
