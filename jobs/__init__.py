"""Jobs, one file each: ``run(args, context)``. How a job is run is the matter of ``jobs.running``. Needs no Ray."""
