"""Where jobs run: in a warm actor, as a Ray job, as a RayJob on Kubernetes, or in this process."""
