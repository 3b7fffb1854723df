"""Clients that share K threads, beside a thread each and beside async."""
