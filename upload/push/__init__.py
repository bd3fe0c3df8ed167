"""Publishing a Hub folder."""
