"""Catalogue as code: resource kinds, workspaces, plan and apply."""
