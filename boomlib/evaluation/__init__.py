"""Predictions -> metrics with intervals -> one table of all runs."""
