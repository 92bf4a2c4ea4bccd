"""The transformer. Its import name is `harness.models`: `harness/models` is a link to this folder.

`models` is a common name for a folder, and another project's `models` must never be taken for this one.
"""

if __name__ == "models":
    raise ImportError("import harness.models instead: this folder is not a package of its own")
