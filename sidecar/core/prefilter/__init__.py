"""Which lines are worth decoding: what rules need (`needs`), how it looks in objects (`patterns`) and in text
(`text_patterns`), and the search for it in blocks of any format (`search`) and of text (`texts`)."""
