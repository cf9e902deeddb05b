"""A search engine for Argilla's server that keeps no index.

The server commits every change to its SQL database before it tells the search engine. So nothing is left to do when
told, and what is asked is asked of that database. Works on SQLite and PostgreSQL.

Known limits: text search matches whole words without stemming or relevance, similarity search reads all vectors.
"""
