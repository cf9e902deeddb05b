"""Everything persisted: one model and one number per format, upgraded on read, refused when too new."""
