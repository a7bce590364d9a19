"""Does a text say where its values come from, and does it compute right? No model is asked.

tokens, vocabulary → grammar, algebra → expressions    what one sentence says in numbers (`reading`)
flow, parts                                            what a shorter version of a trace uses without having said it
arithmetic                                             which of its equations are false
"""
