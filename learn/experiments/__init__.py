"""The published protocols as complete runs, one module per command."""
