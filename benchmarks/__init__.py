"""Benchmarks: every claim about speed has its measurement here."""
