"""Charges as FOCUS data sets: to a stream, to files, to a place where others fetch them."""
