"""The web page of the gateway: how tasks stand, for people, and what they may ask of them. Rendered on the server."""
