"""The published release: downloading it, reading it, checking it."""
