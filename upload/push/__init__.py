"""Publish a Hub folder."""
