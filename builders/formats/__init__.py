"""Reading medical file formats within bounds, for the source modules."""
