"""Homes to try Kilowatch out with: five devices whose readings follow from a seed and the time alone."""
