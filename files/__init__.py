"""Files, processes and the network; nothing here is specific to medical data."""
