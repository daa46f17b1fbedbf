"""Simulators that speak the real protocols on loopback, and can misbehave."""
