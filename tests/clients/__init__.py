"""Official clients of other servers, unmodified. Each is run by an environment that has it.

Their pins conflict with Tornio's, so ``make env-clients`` makes these environments: ``PYTHON NAME.py HOST:PORT KEY``.
"""
