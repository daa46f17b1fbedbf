"""Text streams: serial, TCP and UDP ports, and how records are cut from them."""
