"""Metrics, health and the API over HTTP."""
