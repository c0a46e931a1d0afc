"""Readers of request bodies, one module a provider's dialect; each turns a body into a `Demand`."""
