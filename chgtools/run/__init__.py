"""A VASP run before it starts: its folder, and the settings that its inputs mean."""
