"""HTTP for readings and for what was refused of them."""
