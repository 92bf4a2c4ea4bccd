"""Driving trials: the runner plans, submits, records and resumes; workers do the work in processes of their
own.
"""
