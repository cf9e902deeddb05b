"""Protocols beside Tornio's own, one module each: a router, and the format of its errors."""
