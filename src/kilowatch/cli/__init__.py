"""The command line `kw`: reads settings, starts processes, and puts the rooms together. Nobody imports it."""
