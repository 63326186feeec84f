"""The HTTP process: the application, its error documents, health, and the live feed."""
