"""Figures on public transactions: published protocols, and the whole loop on a replayed stream.

Pure: frames in, figures out, through the code that trains and serves. `deploy.quality` runs it and writes the page.
"""
