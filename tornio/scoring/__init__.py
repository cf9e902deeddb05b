"""Which labels of a data set look wrong: measures, out-of-sample scores, rankings, report. Knows arrays and texts."""
