"""The steps that the verbs are made of."""
