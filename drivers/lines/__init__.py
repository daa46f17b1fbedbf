"""Wires: I/O modules, their lines, and what a line reads."""
