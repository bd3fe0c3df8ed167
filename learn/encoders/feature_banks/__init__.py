"""Feature banks: features that are computed once, shared by processes, and published on the Hub."""
