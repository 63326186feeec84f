"""The simulator: plays devices against an instance, from outside, over the doors that any device uses."""
