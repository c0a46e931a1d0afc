"""OPA itself: find or fetch the binary, run it, ask it, and its tools over the bundle."""
