"""A module a group of commands: `register` adds its parser; heavy imports wait for the run."""
