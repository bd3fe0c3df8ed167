"""The rows of a split that a view leaves out: copies, ledgers, quality flags."""
