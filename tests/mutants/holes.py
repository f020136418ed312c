"""Of the code that calls the mathematics: what a wrong index, mode or default would pass by."""

from tests.mutants import Mutant

MUTANTS: list[Mutant] = []
