"""Where results live: the only SQL of the harness.

Torch-free and pandas-free; Alembic is imported only to migrate.
"""
