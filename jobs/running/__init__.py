"""How a job is run: in a warm actor, as a Ray job, as a RayJob of Kubernetes, or in this process."""
