"""What grows how, up to 10^9 texts and 10^4 tasks: unit costs measured with the real code, and what follows from them.

Each module measures one part: ``texts`` (pool, label log, embeddings), ``controller`` (looks at quiet tasks) and
``replicas`` (the shelf of models). ``costs`` multiplies. ``python -m bench.scale`` runs all and writes docs/scale.md.
"""
