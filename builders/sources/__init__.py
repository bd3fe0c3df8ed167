"""One module per source: from its archives to a manifest and rendered images."""
