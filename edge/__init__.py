"""Put the parts together and run them: the only package that knows drivers, rules and buffer."""
