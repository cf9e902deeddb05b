"""How much the holder of a key may ask for: a rate of texts, and requests at a time, across all gateways."""
