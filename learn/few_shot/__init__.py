"""Few-shot learning: fine-tuning, probes and prototypes on episodes, and meta-learning."""
