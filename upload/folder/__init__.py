"""Writing a Hub folder."""
