"""Write a page that shows a Hub folder."""
