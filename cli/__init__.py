"""The `medimeta` command."""
