"""A page to look at a Hub folder before it is published; see `page`."""
