"""Benchmarks side by side with Postfix and Dovecot, in the same run on the same machine.

`make bench` (or `python -m bench --only deliver,fetch --quick`) starts each system alone, drives all of them with the
same client code, prints medians and ratios, and saves the raw results as JSON in bench/results.
"""
