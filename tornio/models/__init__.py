"""Models behind one interface: few-shot heads, fine-tuned encoders, and zero-shot by embedding similarity or NLI."""
