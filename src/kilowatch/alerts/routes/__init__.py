"""HTTP for alerts, maintenance windows and detectors."""
