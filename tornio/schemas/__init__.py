"""All persisted formats: one model and one number per format. Documents are upgraded on read, or refused if too new."""
