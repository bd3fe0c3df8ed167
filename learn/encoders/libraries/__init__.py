"""Backbones of each library: loaded by name, saved, and loaded again."""
