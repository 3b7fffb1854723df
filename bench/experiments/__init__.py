"""The experiments, a folder each: which cases it covers, what they say, and how that is shown.

It may import `bench.cases`, `bench.results`, `bench.statistics` and `bench.show`. Its only door is
`registry`, which the command line hands to what shows a result.
"""
