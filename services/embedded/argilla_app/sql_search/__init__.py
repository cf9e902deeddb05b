"""A search engine for Argilla's server that keeps no index.

The server commits every change to its SQL database before it notifies the search engine. So notifications need no work,
and every query is answered from that database. It works on SQLite and PostgreSQL.

Known limits: text search matches whole words without stemming or relevance, similarity search reads all vectors.
"""
