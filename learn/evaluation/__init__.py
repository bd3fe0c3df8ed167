"""Evaluation: metrics, intervals, results and their comparison."""
