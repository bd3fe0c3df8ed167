"""The protocols of a benchmark, on features."""
