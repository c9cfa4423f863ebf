"""Estimators for modified treatment policies: what would the mean outcome be, had each treatment been a little larger?

Nothing here knows what a molecule is: covariates, a continuous treatment and an outcome are plain arrays.
"""
