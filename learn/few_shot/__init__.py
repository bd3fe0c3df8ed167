"""Adapting to a few images, and learning to."""
