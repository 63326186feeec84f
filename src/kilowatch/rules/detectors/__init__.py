"""Detectors: what is wrong without anybody having set a rule."""
