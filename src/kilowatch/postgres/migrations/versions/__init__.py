"""One module a step; each goes forward and back."""
