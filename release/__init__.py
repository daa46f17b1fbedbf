"""Makes what is shipped: lock, wheel, bundle, list of components, signature."""
