"""From the configuration folder to checked dataclasses, with every mistake found."""
