"""What the rows of a result say, and how sure that is: no files, no words, no pictures.

It may import `bench.cases` and `bench.results`. Each module is a door.
"""
