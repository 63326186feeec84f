"""The worker: takes frames from the log, keeps each reading exactly once, and commits them to the lake.

A worker may die at any moment: what it had not committed is delivered again, and what it had is recognised.
"""
