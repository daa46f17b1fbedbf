"""The demonstration: a simulated store over real protocols, the real daemon on top."""
