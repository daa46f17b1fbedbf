"""What may be wrong with a box, looked at without changing anything: for `storewarden doctor`."""
