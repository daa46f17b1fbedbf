"""Decide from what devices say what they are told. Never waits, connects or stores."""
