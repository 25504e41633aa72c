"""The JSON that web answers with, as typed structures. The OpenAPI document takes its schemas from here.

The decision itself is `config.contracts.Decision`.
"""
