"""The manifest: a row per image, checked, complete and divided into splits."""
