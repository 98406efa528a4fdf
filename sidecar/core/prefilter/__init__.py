"""Which lines are worth decoding: what rules need (`needs`), how it looks (`patterns`), and the search (`search`)."""
