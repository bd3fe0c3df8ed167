"""Write a Hub folder."""
