"""From a labelled file to a checked bundle. `ml.training.train` is the door; the command line and beat call
it.
"""
