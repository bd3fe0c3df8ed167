"""Images and subjects that occur in more than one place."""
