"""A box's first configuration: written from what was found, or taken from a stick at its boot."""
