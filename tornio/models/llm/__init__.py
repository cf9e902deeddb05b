"""The teacher ``llm``: a model behind a server that speaks the OpenAI chat-completions protocol."""
