"""What stays up: the Ray Serve applications, the controller, and the embedded stack of one machine."""
