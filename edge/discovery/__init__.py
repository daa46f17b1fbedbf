"""What is around a box, found without changing anything: for `storewarden discover` and `init`."""
