"""Checking a Hub folder, or comparing it with what is published."""
