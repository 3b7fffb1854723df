"""PostgreSQL's write-ahead log, read into redo requests.

The names follow PostgreSQL's: xlog_internal.h has segments and pages, xlogrecord.h records and the
headers of their blocks. What belongs here: bytes of WAL and what they mean. What does not: files of
requests, and what people read.
"""
