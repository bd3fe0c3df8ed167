"""What a learner does with the data."""
