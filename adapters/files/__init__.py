"""Full dumps dropped in a folder: each is differenced against the last one by key, and only the changes go out."""

from adapters.files.adapter import FilesAdapter

__all__ = ["FilesAdapter"]
