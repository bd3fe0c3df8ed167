"""The published protocols as whole runs, one module per command."""
