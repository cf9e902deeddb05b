"""Replay the asking on labelled texts: what a query strategy would have saved, and when a criterion would have stopped.

``summary`` says what replays show, and ``page`` draws it. The replay itself is the job ``simulate``.
"""
