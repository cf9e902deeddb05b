"""An interface to the Kubernetes API and its implementation, for runners, draining and `deploy check`."""
