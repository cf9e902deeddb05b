"""The Kubernetes API as a port, and the official client behind it. Runners, draining and `deploy check` share it."""
