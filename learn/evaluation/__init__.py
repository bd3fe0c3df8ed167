"""What a number means: metrics, intervals, results, comparison."""
