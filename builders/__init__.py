"""From a source archive to standardised images: one small module per source, shared pure functions beside them."""
