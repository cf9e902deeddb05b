"""Jobs, one file each: ``run(args, context)``. ``jobs.running`` decides where a job runs. Needs no Ray."""
