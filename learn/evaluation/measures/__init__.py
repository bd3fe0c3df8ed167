"""Metrics of predictions, and how certain they are: scores, ranks, resamples, intervals."""
