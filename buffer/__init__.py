"""Keep bytes by priority until the broker has them, and prove that nothing was changed."""
