"""The benchmark of encoders on many tasks, `medimeta bench`, and its tables."""
