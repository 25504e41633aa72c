"""What Grafana is told: its data source, and dashboards. Written in Python, read from dashboards/*.json."""
