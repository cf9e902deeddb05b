"""Predict a data set of any size, or a task's pool: the second output of the engine that scores.

The walk of a run, from the request to the files:

1. ``planning.plan_predict`` freezes files or pool, model and layout in a plan. The job ``jobs.predict`` executes it.
2. ``work.stage_texts`` cuts the texts into parts, each of one file (``sources``), and puts rows aside without a text.
3. ``work.PredictPart`` predicts each part, in parallel.
4. ``writing.WriteFile`` writes each file again, in parallel, with all of its columns and what was predicted.
5. ``work.summarise`` counts.
"""
