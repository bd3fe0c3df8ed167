"""Files, processes and the network: what knows nothing of medicine."""
