"""The start density of a run: superposition, magnetisation, occupancies, prediction; written and checked."""
