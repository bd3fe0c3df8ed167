"""Check a Hub folder, or compare it with a published dataset."""
