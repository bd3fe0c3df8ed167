"""A Hub folder as a source, checked at the door."""
