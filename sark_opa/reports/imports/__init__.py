"""Charges of another system, read from files: CSV, JSON lines, Parquet, and our own FOCUS exports."""
