"""Sparkplug B, the optional second voice of a site: births, deaths, data, and what came late."""
