"""Servers and the Hub: one policy for retries, downloads, and repositories."""
