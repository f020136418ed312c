r"""The front page, soon."""
