"""Encoders on many tasks: what `medimeta bench` runs, and the tables that it ends with."""
