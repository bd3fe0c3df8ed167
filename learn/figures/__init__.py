"""Figures: one style for all of them, and the images of a task as a labelled grid."""
