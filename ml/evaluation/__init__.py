"""How good a model is: ranking, money, calibration, each with its uncertainty. Plain arrays in, numbers
out.
"""
