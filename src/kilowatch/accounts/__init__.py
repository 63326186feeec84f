"""Organisations and who may act in them: API keys, their scopes, and the caller of a request."""
