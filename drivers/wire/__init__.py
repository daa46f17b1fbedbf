"""Protocol knowledge as pure functions: bytes in, meaning out."""
