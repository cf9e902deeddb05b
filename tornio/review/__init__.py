"""The most suspicious rows of a score run, to annotators and back: review data set, corrections, corrected set."""
