"""Readings and what follows from them: metrics, series, energy, roll-ups, and reading them back."""
