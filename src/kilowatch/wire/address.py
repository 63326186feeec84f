"""Where the HTTP API lives. Keeps true that every route of it begins alike."""

from typing import Final

API: Final = "/api/v1"
