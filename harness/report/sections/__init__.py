"""Sections of the report: each turns the input into what its template prints."""
