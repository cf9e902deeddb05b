"""Find the wrong labels of a data set: score each row by how little a model believes its label.

``predicting`` is the other output of the same engine: what a model says of texts without labels.

The walk of a run, from the request to the ranked file:

1. ``planning.plan_score`` freezes files, labels and model in a plan. The job ``jobs.score`` executes the plan.
2. ``staging.stage_input`` cuts the files into parts (``cutting``, ``parts.Parts``), and puts rows aside that cannot be
   used.
3. With folds, ``work.EmbedPart`` embeds the texts of each part, in parallel.
4. With folds, ``fitting.fit_scorer`` fits an ``out_of_sample.OutOfSampleScorer`` once. Its experts are in ``linear``,
   ``words`` and ``neighbours``; ``folds`` keeps each text from what it is scored by, ``opinions`` combines the experts.
5. ``work.ScorePart`` scores each part, in parallel: ``measures`` of the given labels, and the suspicion by ``ranking``.
6. ``summary.rank_whole`` ranks all rows together where a ranking needs that; ``summary.summarise`` counts.
7. ``scored_run.ScoredRun`` reads the finished run: ``report`` (with ``figures`` and ``drawing``) makes the page.
8. ``results.write_scores`` writes all rows into one file, most suspicious first.
"""
