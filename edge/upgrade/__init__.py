"""Releases side by side: one is switched to, watched, and gone back from by itself."""
