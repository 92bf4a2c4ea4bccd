"""The store: the database that holds all runs. No other package of the harness uses SQL.

It imports neither torch nor pandas, and Alembic only to migrate a database.
"""
