"""HTTP: routes, bodies, access, problems."""
