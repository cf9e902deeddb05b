"""Models behind one interface: few-shot head on a frozen encoder, zero-shot by embedding similarity or NLI."""
