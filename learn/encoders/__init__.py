"""Backbones as encoders, and their preprocessing."""
