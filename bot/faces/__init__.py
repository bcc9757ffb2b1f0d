"""The faces: Discord, the web studio and the command line; none knows another."""
