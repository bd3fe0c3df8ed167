"""From a dataset to batches of pixels and labels."""
