"""Review of the most suspicious rows of a score run: data set for annotators, corrections, corrected set."""
