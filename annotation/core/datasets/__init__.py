"""Labelled sets in the layout in which they are handed out: one reader each."""
