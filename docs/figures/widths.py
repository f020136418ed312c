"""How wide figures are, in inches."""

# Text of 9 points is 10 pixels high on a telephone, which makes the whole figure smaller
NARROW = 4.4
