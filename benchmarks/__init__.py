"""Measurements, each beside its baseline; `make bench` runs them all."""
