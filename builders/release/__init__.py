"""The published release: download, read and check it."""
