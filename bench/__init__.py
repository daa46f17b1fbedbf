"""Measurements, run by hand: ./dev bench NAME."""
