"""The entry point of a Ray job. ``python -m jobs WORKSPACE RUN ATTEMPT [--task TASK]`` executes a stored plan."""

from __future__ import annotations

import argparse
import logging
import sys

from jobs.running.driver import drive
from jobs.running.execute import resumed_attempt
from jobs.running.process import job_context
from tornio.errors import TornioError, describe
from tornio.schemas.keys import run_of
from tornio.schemas.runs import RunPlan
from tornio.storage import documents

log = logging.getLogger("jobs")


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    parser = argparse.ArgumentParser(prog="python -m jobs", description=__doc__)
    parser.add_argument("workspace")
    parser.add_argument("run")
    parser.add_argument("attempt", type=int)
    parser.add_argument("--task")
    parser.add_argument(
        "--token",
        help="Token of a caller that may start this command again. The run then goes on with the next attempt.",
    )
    parser.add_argument("--cluster", help="host:port of the Ray cluster to use. Default: RAY_ADDRESS.")
    args = parser.parse_args()
    context = job_context()
    plan, _ = documents.load(context.store, run_of(args.workspace, args.task, args.run).plan, RunPlan)
    try:
        attempt = args.attempt
        if args.token is not None:
            context.worker = args.token
            attempt = resumed_attempt(plan, attempt, context)
        drive(plan, context, attempt=attempt, cluster=args.cluster)
    except TornioError as error:
        log.error("%s", describe(error))  # a traceback tells the reader of the job's log nothing more
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
