"""Devices that are none: they hear commands, do them on paper, and answer well or badly."""
