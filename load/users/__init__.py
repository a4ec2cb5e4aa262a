"""What users do: one file per kind of action, each a plain function over an :class:`~load.users.actor.Actor`."""
