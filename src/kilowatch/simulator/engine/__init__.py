"""The engine of a world: what its streams are at any moment, as pure arithmetic on arrays."""
