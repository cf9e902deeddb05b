"""Domain adaptation: an encoder goes on with its pre-training on a task's own texts, without labels."""
