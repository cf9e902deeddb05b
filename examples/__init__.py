"""Examples with data written for this project."""
