"""The `medimeta` command. Its modules import the other rooms inside the commands, so that it starts quickly."""
