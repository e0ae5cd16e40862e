"""Datasets: which videos there are."""
