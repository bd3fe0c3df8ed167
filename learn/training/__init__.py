"""Shared parts of the training commands: data, loops, checkpoints, runs, model cards."""
