"""Drop-ins of the systemd unit that follow from a configuration: which devices, which addresses."""
