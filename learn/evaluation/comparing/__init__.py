"""Many results next to each other: tables, classes, ranks and tests over tasks, paired differences, pictures."""
