"""The local launcher: `tollgate up` starts, watches and stops every process of one machine's Tollgate."""
