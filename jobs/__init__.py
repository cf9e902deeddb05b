"""Ray jobs, one file each, and how a job is run. The functions themselves need no Ray."""
