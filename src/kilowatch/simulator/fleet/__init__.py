"""The devices of the worlds of energy: what each of them reports at any moment."""
