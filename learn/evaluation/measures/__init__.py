"""Metrics of predictions and their uncertainty: scores, ranks, resamples, intervals."""
