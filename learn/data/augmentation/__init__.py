"""Training augmentation of whole batches."""
