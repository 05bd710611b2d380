"""Membership inference: was a sample in the training set?"""
