"""Raw sources: finding their files in folders and archives, and reading them."""
