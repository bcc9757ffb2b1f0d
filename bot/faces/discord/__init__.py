"""Discord: slash commands, buttons and forms on the studio; the only place for discord.py."""
