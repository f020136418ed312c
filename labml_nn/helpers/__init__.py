r"""Soon."""
